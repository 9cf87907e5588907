use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{RuleDocument, SCHEMA, render, table};
use crate::{
    config::Name,
    plan::{Loaded, LoadedInterface, Missing},
};

#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    pub name: Name,
    pub loaded: bool,
    /// Seconds since the Unix epoch; null if not loaded.
    pub since: Option<u64>,
    /// The process id of `redirector run`; null if none keeps the instance.
    pub supervisor: Option<i32>,
    pub interfaces: Vec<Interface>,
    pub rules: Vec<RuleDocument>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    pub name: String,
    /// null: no interface has this name or matches this pattern; `redirector run` waits for one.
    pub ifindex: Option<u32>,
    /// Of the ingress half; null if it was never attached.
    pub hook: Option<&'static str>,
    pub attached: bool,
}

impl Document {
    pub fn not_loaded(name: Name) -> Self {
        Self {
            schema: SCHEMA,
            name,
            loaded: false,
            since: None,
            supervisor: None,
            interfaces: Vec::new(),
            rules: Vec::new(),
        }
    }

    pub fn new(name: Name, loaded: &Loaded, supervisor: Option<i32>) -> Self {
        Self {
            loaded: true,
            since: Some(
                loaded
                    .since
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            ),
            supervisor,
            interfaces: loaded
                .interfaces
                .iter()
                .map(Interface::from)
                .chain(loaded.missing.iter().map(Interface::from))
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

impl From<&LoadedInterface> for Interface {
    fn from(loaded: &LoadedInterface) -> Self {
        Self {
            name: loaded.interface.name.clone(),
            ifindex: Some(loaded.interface.index),
            hook: Some(loaded.hook.name()),
            attached: loaded.attached,
        }
    }
}

impl From<&Missing> for Interface {
    fn from(missing: &Missing) -> Self {
        let (name, ifindex) = match missing {
            Missing::Absent(selector) => (selector.to_string(), None),
            Missing::Unattached(interface) => (interface.name.clone(), Some(interface.index)),
        };
        Self {
            name,
            ifindex,
            hook: None,
            attached: false,
        }
    }
}

/// The same for people.
pub fn text(name: &Name, loaded: &Loaded, supervisor: Option<i32>, now: SystemTime) -> String {
    let age = now.duration_since(loaded.since).unwrap_or_default();
    let age = std::time::Duration::from_secs(age.as_secs());
    let mut interfaces = table(&["INTERFACE", "HOOK", "STATE"], 0..0);
    for loaded in &loaded.interfaces {
        let state = if loaded.attached { "attached" } else { "gone" };
        interfaces.add_row([&loaded.interface.name, loaded.hook.name(), state]);
    }
    for missing in &loaded.missing {
        let (name, state) = match missing {
            Missing::Absent(selector) => (selector.as_str(), "absent"),
            Missing::Unattached(interface) => (interface.name.as_str(), "not attached"),
        };
        interfaces.add_row([name, "-", state]);
    }
    let mut rules = table(&["RULE"], 0..0);
    for loaded in &loaded.rules {
        rules.add_row([loaded.rule.to_string()]);
    }
    let kept = supervisor.map_or_else(String::new, |pid| {
        format!(", kept by `redirector run` (pid {pid})")
    });
    format!(
        "instance \"{name}\" is loaded since {} ({} ago){kept}\n\n{}\n{}{}",
        humantime::format_rfc3339_seconds(loaded.since),
        humantime::format_duration(age),
        render(&interfaces),
        render(&rules),
        way_out(loaded, supervisor),
    )
}

/// What brings a degraded instance back.
fn way_out(loaded: &Loaded, supervisor: Option<i32>) -> &'static str {
    let is_refused = |missing: &Missing| matches!(missing, Missing::Unattached(_));
    match supervisor {
        _ if loaded.is_complete() => "",
        Some(_) if loaded.missing.iter().any(is_refused) => {
            "\ndegraded: `redirector run` is attaching what is there, or has said why it cannot; it tries \
             again at every change of interfaces\n"
        }
        Some(_) => "\ndegraded: `redirector run` attaches what is absent when it appears\n",
        None => {
            "\ndegraded: `redirector reload` attaches what is there again; `redirector run` does that \
             by itself, as interfaces come\n"
        }
    }
}
