//! Does what is loaded still hold to its interfaces?

use super::{Finding, Level};
use crate::{
    config::{DEFAULT_FILE, Name},
    plan::{Loaded, LoadedInterface, Missing, Presence},
};

/// One for each interface that is not as it was loaded, or that is wanted and not attached.
pub fn findings(name: &Name, loaded: &Loaded, supervisor: Option<i32>) -> Vec<Finding> {
    let way = match supervisor {
        Some(pid) => Way::Run(pid),
        None => Way::Reload(reload(name)),
    };
    let off = loaded.interfaces.iter().filter(|loaded| !loaded.attached);
    let off = off.map(|loaded| off_finding(loaded, &way));
    let missing = loaded.missing.iter();
    off.chain(missing.map(|missing| missing_finding(missing, &way)))
        .collect()
}

/// What attaches again.
enum Way {
    /// The process that keeps the instance, and lets nobody else.
    Run(i32),
    /// A command.
    Reload(String),
}

fn off_finding(loaded: &LoadedInterface, way: &Way) -> Finding {
    let name = &loaded.interface.name;
    let message = match loaded.place {
        Presence::Here => format!(
            "{name} is detached: it lacks a program of ours, which somebody took off, or an interrupted change left out"
        ),
        Presence::Elsewhere => {
            format!("{name} was moved to another network namespace, and programs of ours with it")
        }
        Presence::Gone => format!("{name} is gone, and what was attached with it"),
        Presence::GoneOrElsewhere => format!(
            "{name} is gone, or was moved to another network namespace, which root may tell"
        ),
    };
    let help = match (way, loaded.place) {
        (Way::Run(pid), Presence::Here | Presence::Elsewhere) => {
            format!("a SIGHUP has `redirector run` (pid {pid}) put it right")
        }
        (Way::Run(_), Presence::Gone | Presence::GoneOrElsewhere) => way.once_there(),
        (Way::Reload(again), Presence::Here) => format!("{again} attaches it again"),
        (Way::Reload(again), Presence::Elsewhere) => {
            format!("{again}, with -i for each interface that is to stay, takes it off there")
        }
        (Way::Reload(_), Presence::Gone | Presence::GoneOrElsewhere) => {
            way.once_there() + "; -i names those to stay without"
        }
    };
    finding(name, message, help)
}

fn missing_finding(missing: &Missing, way: &Way) -> Finding {
    let interface = match missing {
        Missing::Absent(selector) => {
            let message = if selector.is_pattern() {
                format!("no interface matches {selector}")
            } else {
                format!("{selector} is absent")
            };
            return finding(selector.as_str(), message, way.once_there());
        }
        Missing::Unattached(interface) => &interface.name,
    };
    let help = match way {
        Way::Run(pid) => format!(
            "`redirector run` (pid {pid}) is about to attach it, or has said why it cannot and tries again \
             whenever interfaces change"
        ),
        Way::Reload(again) => {
            format!("{again} attaches it, or `redirector run`, as interfaces come")
        }
    };
    finding(interface, format!("{interface} is not attached"), help)
}

impl Way {
    fn once_there(&self) -> String {
        match self {
            Self::Run(pid) => {
                format!("`redirector run` (pid {pid}) waits for one and attaches it")
            }
            Self::Reload(again) => {
                format!("once there is one, {again} attaches it, and `redirector run` by itself")
            }
        }
    }
}

fn finding(subject: &str, message: String, help: String) -> Finding {
    Finding::new("attached", Level::Warning, subject, message).help(help)
}

/// Names no rules, and so keeps those that are loaded, unless there is a file that it reads.
fn reload(name: &Name) -> String {
    let option = if *name == Name::default() {
        String::new()
    } else {
        format!(" --name {name}")
    };
    let source = if std::path::Path::new(DEFAULT_FILE).exists() {
        " with the rules or file of the load"
    } else {
        ""
    };
    format!("`redirector reload{option}`{source}")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{
        config::Interface,
        plan::{IngressHook, Presence},
    };

    fn interface(name: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            index: 2,
        }
    }

    fn loaded(name: &str, attached: bool, place: Presence) -> LoadedInterface {
        LoadedInterface {
            interface: interface(name),
            attached,
            place,
            hook: IngressHook::Tcx,
        }
    }

    #[test]
    fn what_is_not_attached_and_what_attaches_it() {
        let absent = |text: &str| Missing::Absent(text.parse().unwrap());
        let loaded = Loaded {
            since: SystemTime::UNIX_EPOCH,
            interfaces: vec![
                loaded("lo", true, Presence::Here),
                loaded("eth0", false, Presence::Here),
                loaded("eth1", false, Presence::Gone),
            ],
            wanted: Vec::new(),
            missing: vec![
                absent("wg0"),
                absent("tun*"),
                Missing::Unattached(interface("eth2")),
            ],
            rules: Vec::new(),
            is_outdated: false,
        };
        let states = [
            "eth0 is detached",
            "eth1 is gone",
            "wg0 is absent",
            "no interface matches tun*",
            "eth2 is not attached",
        ];
        for (supervisor, word, other) in [
            (None, "`redirector reload --name web`", "pid"),
            (Some(7), "`redirector run` (pid 7)", "reload"),
        ] {
            let found = findings(&"web".parse().unwrap(), &loaded, supervisor);
            assert_eq!(found.len(), states.len());
            for (finding, state) in found.iter().zip(states) {
                let line = finding.to_string();
                assert!(line.starts_with(state), "{line}");
                assert!(line.contains(word) && !line.contains(other), "{line}");
            }
        }
    }
}
