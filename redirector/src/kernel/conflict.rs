//! Instances that would meet on one interface: one would take the other's packets, or both would
//! rewrite them.

use std::collections::HashMap;

use super::{Error, bpffs, instance::Instance};
use crate::{
    config::{Config, Interface, Name, Rule},
    plan::LoadedInterface,
};

/// Fails if a rule meets one of another instance.
pub fn refuse(name: &Name, config: &Config) -> Result<(), Error> {
    for other in bpffs::names()?.into_iter().filter(|other| other != name) {
        // One of another version or network namespace is not ours to judge.
        let Ok(Some(instance)) = Instance::find(&other) else {
            continue;
        };
        if !instance.is_here() {
            continue;
        }
        let loaded = instance.loaded()?;
        let rules: Vec<_> = loaded.rules.iter().map(|loaded| &loaded.rule).collect();
        for interface in shared(config, &loaded.interfaces) {
            if let Some((rule, met)) = first_meeting(config, &rules, interface) {
                return Err(Error::Conflict {
                    rule: Box::new(rule.clone()),
                    interface: interface.name.clone(),
                    other: Box::new(met.clone()),
                    instance: other,
                });
            }
        }
    }
    Ok(())
}

fn shared<'a>(
    config: &'a Config,
    loaded: &'a [LoadedInterface],
) -> impl Iterator<Item = &'a Interface> {
    config.interfaces.iter().filter(|wanted| {
        let mut interfaces = loaded.iter();
        interfaces.any(|loaded| loaded.interface.index == wanted.index)
    })
}

/// A rule and one of the others that share a port on this interface, other than both leading to it.
fn first_meeting<'a>(
    config: &'a Config,
    others: &[&'a Rule],
    interface: &Interface,
) -> Option<(&'a Rule, &'a Rule)> {
    let on = |rule: &Rule| rule.interfaces.is_empty() || rule.interfaces.contains(interface);
    let (mut sources, mut targets) = (HashMap::new(), HashMap::new());
    for other in others.iter().copied().filter(|other| on(other)) {
        sources.insert((other.protocol, other.from), other);
        targets.insert((other.protocol, other.to), other);
    }
    config
        .rules
        .iter()
        .filter(|rule| on(rule))
        .find_map(|rule| {
            let from = (rule.protocol, rule.from);
            let to = (rule.protocol, rule.to);
            let met = sources
                .get(&from)
                .or_else(|| targets.get(&from))
                .or_else(|| sources.get(&to))?;
            Some((rule, *met))
        })
}
