use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::{RuleDocument, SCHEMA, neighbours, neighbours::Neighbour, render, table};
use crate::{
    check::{self, Finding},
    config::{self, Name},
    kernel::{self, Instance, Neighbourhood, Place},
    plan::{Loaded, LoadedInterface, Missing},
};

/// What is known of an instance.
#[derive(Clone, Debug)]
pub struct Reading {
    pub loaded: Loaded,
    pub place: Place,
    /// The process that keeps it.
    pub supervisor: Option<i32>,
    /// In the order of the interfaces that are [present](Loaded::present); none where nothing can be read.
    pub neighbours: Vec<Neighbourhood>,
    /// Of the interfaces that are not as they should be.
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
    /// The way out, if it is not attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Programs of others, in the order in which packets meet them.
    pub neighbours: Vec<Neighbour>,
    /// What could not be read of them, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub neighbours_unread: Vec<String>,
}

/// The document of an instance, or that none is loaded that this user may read.
pub fn read(name: &Name) -> Result<Document, kernel::Error> {
    let reading = Instance::open(name).and_then(|instance| Reading::of(&instance));
    match reading {
        Ok(reading) => Ok(Document::new(name.clone(), &reading)),
        Err(error) if error.is_nothing_to_read() => Ok(Document::not_loaded(name.clone())),
        Err(error) => Err(error),
    }
}

impl Reading {
    pub fn of(instance: &Instance) -> Result<Self, kernel::Error> {
        let loaded = instance.loaded()?;
        let supervisor = instance.supervisor();
        Ok(Self {
            place: instance.place()?,
            neighbours: instance.neighbours(&loaded)?,
            findings: check::examine_loaded(&instance.name, &loaded, supervisor),
            loaded,
            supervisor,
        })
    }

    fn neighbours(&self) -> impl Iterator<Item = (&config::Interface, &Neighbourhood)> {
        self.loaded.present().zip(&self.neighbours)
    }

    /// What could not be read of the neighbours, a line each.
    pub fn unread(&self) -> impl Iterator<Item = String> {
        self.neighbours().flat_map(|(interface, found)| {
            let why = found.unread.iter();
            why.map(|why| format!("cannot tell who else is on {}: {why}", interface.name))
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
            supervisor: None,
            interfaces: Vec::new(),
            rules: Vec::new(),
        }
    }

    pub fn new(name: Name, reading: &Reading) -> Self {
        let loaded = &reading.loaded;
        let mut interfaces: Vec<_> = loaded
            .interfaces
            .iter()
            .map(Interface::from)
            .chain(loaded.missing.iter().map(Interface::from))
            .collect();
        for interface in &mut interfaces {
            let mut findings = reading.findings.iter();
            let finding = findings.find(|finding| finding.subject == interface.name);
            interface.help = finding.and_then(|finding| finding.help.clone());
            let mut neighbours = reading.neighbours();
            let found = neighbours.find(|(present, _)| Some(present.index) == interface.ifindex);
            if let Some((_, found)) = found {
                interface.neighbours = found.neighbours.iter().map(Neighbour::from).collect();
                interface.neighbours_unread.clone_from(&found.unread);
            }
        }
        Self {
            loaded: true,
            since: Some(
                loaded
                    .since
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            ),
            namespace: Some(reading.place.name()),
            supervisor: reading.supervisor,
            interfaces,
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
            help: None,
            neighbours: Vec::new(),
            neighbours_unread: Vec::new(),
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
            help: None,
            neighbours: Vec::new(),
            neighbours_unread: Vec::new(),
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
        let state = match loaded.attached {
            true => "attached",
            false => loaded.place.state(),
        };
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
    let kept = reading.supervisor.map_or_else(String::new, |pid| {
        format!(", kept by `redirector run` (pid {pid})")
    });
    let findings: String = reading
        .findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    let neighbours = reading.neighbours();
    let neighbours = neighbours::text(
        neighbours.map(|(interface, found)| (interface.name.as_str(), &found.neighbours[..])),
    );
    format!(
        "instance \"{name}\" is loaded since {} ({} ago){kept}\n\n{}{findings}\n{}{neighbours}",
        humantime::format_rfc3339_seconds(loaded.since),
        humantime::format_duration(age),
        render(&interfaces),
        render(&rules),
    )
}
