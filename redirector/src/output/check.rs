use serde::Serialize;

use super::SCHEMA;
use crate::check::{Finding, Level};

#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    pub schema: u32,
    /// The worst of the findings.
    pub level: Level,
    pub findings: &'a [Finding],
}

impl<'a> Document<'a> {
    pub fn new(findings: &'a [Finding]) -> Self {
        Self {
            schema: SCHEMA,
            level: worst(findings),
            findings,
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
