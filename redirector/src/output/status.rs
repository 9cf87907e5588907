use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{RuleDocument, SCHEMA, render, table};
use crate::{config::Name, kernel::Place, plan::Loaded};

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub name: Name,
    pub loaded: bool,
    /// Seconds since the Unix epoch; null if not loaded.
    pub since: Option<u64>,
    /// The network namespace: "here", "elsewhere" or "gone"; null if not loaded.
    pub namespace: Option<&'static str>,
    pub interfaces: Vec<Interface>,
    pub rules: Vec<RuleDocument>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    pub name: String,
    pub ifindex: u32,
    /// Of the ingress half.
    pub hook: &'static str,
    pub attached: bool,
}

impl Document {
    pub fn not_loaded(name: Name) -> Self {
        Self {
            schema: SCHEMA,
            name,
            loaded: false,
            since: None,
            namespace: None,
            interfaces: Vec::new(),
            rules: Vec::new(),
        }
    }

    pub fn new(name: Name, loaded: &Loaded, place: &Place) -> Self {
        Self {
            loaded: true,
            namespace: Some(place.name()),
            since: Some(
                loaded
                    .since
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            ),
            interfaces: loaded
                .interfaces
                .iter()
                .map(|loaded| Interface {
                    name: loaded.interface.name.clone(),
                    ifindex: loaded.interface.index,
                    hook: loaded.hook.name(),
                    attached: loaded.attached,
                })
                .collect(),
            rules: loaded
                .rules
                .iter()
                .map(|loaded| RuleDocument::from(&loaded.rule))
                .collect(),
            ..Self::not_loaded(name)
        }
    }
}

/// The same for people.
pub fn text(name: &Name, loaded: &Loaded, now: SystemTime) -> String {
    let age = now.duration_since(loaded.since).unwrap_or_default();
    let age = std::time::Duration::from_secs(age.as_secs());
    let mut interfaces = table(&["INTERFACE", "HOOK", "STATE"], 0..0);
    for loaded in &loaded.interfaces {
        let state = if loaded.attached { "attached" } else { "gone" };
        interfaces.add_row([&loaded.interface.name, loaded.hook.name(), state]);
    }
    let mut rules = table(&["RULE"], 0..0);
    for loaded in &loaded.rules {
        rules.add_row([loaded.rule.to_string()]);
    }
    format!(
        "instance \"{name}\" is loaded since {} ({} ago)\n\n{}\n{}",
        humantime::format_rfc3339_seconds(loaded.since),
        humantime::format_duration(age),
        render(&interfaces),
        render(&rules),
    )
}
