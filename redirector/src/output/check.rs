use serde::Serialize;

use super::{SCHEMA, explain};
use crate::{
    check::{Finding, Level},
    kernel::Explanation,
};

#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    pub schema: u32,
    /// The worst of the findings.
    pub level: Level,
    pub findings: &'a [Finding],
    /// Which hook each interface gets, and why; with `--explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explain: Option<Vec<explain::Interface>>,
}

impl<'a> Document<'a> {
    pub fn new(findings: &'a [Finding], explanations: Option<&[Explanation]>) -> Self {
        Self {
            schema: SCHEMA,
            level: worst(findings),
            findings,
            explain: explanations.map(|explanations| explanations.iter().map(Into::into).collect()),
        }
    }
}

pub fn worst(findings: &[Finding]) -> Level {
    findings
        .iter()
        .map(|finding| finding.level)
        .max()
        .unwrap_or(Level::Ok)
}

/// The same for people, a line each.
pub fn text(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| {
            let level = match finding.level {
                Level::Ok => "ok",
                Level::Warning => "warning",
                Level::Failure => "failure",
            };
            format!("{level:<8} {finding}\n")
        })
        .collect()
}
