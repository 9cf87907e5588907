//! Does what is loaded still hold to its interfaces?

use super::{Finding, Level};
use crate::{
    config::{DEFAULT_FILE, Name},
    plan::{Loaded, LoadedInterface},
};

/// One for each interface that is not as it was loaded.
pub fn findings(name: &Name, loaded: &Loaded) -> Vec<Finding> {
    let again = reload(name);
    let interfaces = loaded.interfaces.iter();
    interfaces
        .filter_map(|interface| finding(interface, &again))
        .collect()
}

fn finding(loaded: &LoadedInterface, again: &str) -> Option<Finding> {
    if loaded.attached {
        return None;
    }
    let name = &loaded.interface.name;
    let (message, help) = if loaded.exists {
        (
            format!("{name} is detached: somebody took a program of ours off"),
            format!("{again} attaches it again"),
        )
    } else {
        (
            format!("{name} is gone, and what was attached with it"),
            format!("once there is one again, {again} attaches it; -i names those to stay without"),
        )
    };
    Some(Finding::new("attached", Level::Warning, name, message).help(help))
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
    use super::*;
    use crate::{config::Interface, plan::IngressHook};

    #[test]
    fn what_came_off_and_what_is_gone() {
        let loaded = |attached, exists| LoadedInterface {
            interface: Interface {
                name: "eth0".to_owned(),
                index: 2,
            },
            attached,
            exists,
            hook: IngressHook::Tcx,
        };
        for (loaded, word) in [
            (loaded(true, true), None),
            (loaded(false, true), Some("detached")),
            (loaded(false, false), Some("gone")),
        ] {
            let found = finding(&loaded, "`redirector reload`").map(|found| found.to_string());
            assert_eq!(found.is_some(), word.is_some());
            assert!(
                found
                    .zip(word)
                    .is_none_or(|(found, word)| found.contains(word))
            );
        }
    }
}
