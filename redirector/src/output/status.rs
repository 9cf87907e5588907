use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{RuleDocument, SCHEMA, neighbours, neighbours::Neighbour, render, table};
use crate::{
    check::Finding,
    config::Name,
    kernel::{Neighbourhood, Place},
    plan::{Loaded, LoadedInterface},
};

/// What is known of an instance.
#[derive(Clone, Debug)]
pub struct Reading {
    pub loaded: Loaded,
    pub place: Place,
    /// In the order of the interfaces; none where nothing can be read.
    pub neighbours: Vec<Neighbourhood>,
    /// Of the interfaces that are not as they were loaded.
    pub findings: Vec<Finding>,
}

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
    /// The way out, if it is not attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Programs of others, in the order in which packets meet them.
    pub neighbours: Vec<Neighbour>,
    /// What could not be read of them, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub neighbours_unread: Vec<String>,
}

impl Reading {
    fn interfaces(&self) -> impl Iterator<Item = (&LoadedInterface, Neighbourhood)> {
        let found = |index| self.neighbours.get(index).cloned().unwrap_or_default();
        let interfaces = self.loaded.interfaces.iter().enumerate();
        interfaces.map(move |(index, loaded)| (loaded, found(index)))
    }

    /// What could not be read of the neighbours, a line each.
    pub fn unread(&self) -> impl Iterator<Item = String> {
        self.interfaces().flat_map(|(loaded, found)| {
            let name = &loaded.interface.name;
            let lines = found.unread.into_iter();
            lines.map(move |why| format!("cannot tell who else is on {name}: {why}"))
        })
    }
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

    pub fn new(name: Name, reading: &Reading) -> Self {
        let loaded = &reading.loaded;
        let help = |name: &str| {
            let mut findings = reading.findings.iter();
            findings
                .find(|finding| finding.subject == name)?
                .help
                .clone()
        };
        let interfaces = reading.interfaces().map(|(loaded, found)| Interface {
            name: loaded.interface.name.clone(),
            ifindex: loaded.interface.index,
            hook: loaded.hook.name(),
            attached: loaded.attached,
            help: help(&loaded.interface.name),
            neighbours: found.neighbours.iter().map(Neighbour::from).collect(),
            neighbours_unread: found.unread,
        });
        Self {
            loaded: true,
            since: Some(
                loaded
                    .since
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            ),
            namespace: Some(reading.place.name()),
            interfaces: interfaces.collect(),
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
pub fn text(name: &Name, reading: &Reading, now: SystemTime) -> String {
    let loaded = &reading.loaded;
    let age = now.duration_since(loaded.since).unwrap_or_default();
    let age = std::time::Duration::from_secs(age.as_secs());
    let mut interfaces = table(&["INTERFACE", "HOOK", "STATE"], 0..0);
    for loaded in &loaded.interfaces {
        let state = match (loaded.attached, loaded.exists) {
            (true, _) => "attached",
            (false, true) => "detached",
            (false, false) => "gone",
        };
        interfaces.add_row([&loaded.interface.name, loaded.hook.name(), state]);
    }
    let mut rules = table(&["RULE"], 0..0);
    for loaded in &loaded.rules {
        rules.add_row([loaded.rule.to_string()]);
    }
    let findings: String = reading
        .findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    let neighbours = neighbours::text(
        reading
            .interfaces()
            .map(|(loaded, found)| (loaded.interface.name.as_str(), found.neighbours)),
    );
    format!(
        "instance \"{name}\" is loaded since {} ({} ago)\n\n{}{findings}\n{}{neighbours}",
        humantime::format_rfc3339_seconds(loaded.since),
        humantime::format_duration(age),
        render(&interfaces),
        render(&rules),
    )
}
