//! What became of the interfaces, a line each.

use crate::{
    cli::changes,
    config::{Interface, Selector},
    host::Network,
    kernel::{Outcome, Site},
    plan::{Loaded, Missing},
};

/// What several changes attached and detached.
#[derive(Debug, Default)]
pub struct Moves {
    attached: Vec<Site>,
    detached: Vec<Interface>,
    /// What the operator should hear besides, a line each.
    pub notes: Vec<String>,
}

impl Moves {
    pub fn add(&mut self, outcome: Outcome) {
        self.notes.extend(changes::notes(&outcome));
        let Outcome::Done { plan, sites, .. } = outcome else {
            return;
        };
        self.detached.extend(plan.detach);
        let is_new = |site: &Site| plan.attach.contains(&site.interface);
        self.attached.extend(sites.into_iter().filter(is_new));
    }

    /// From one state of the network to another.
    pub fn lines(&self, before: &Network, now: &Network, wanted: &[Selector]) -> Vec<String> {
        let attached = self.attached.iter().map(|site| {
            let how = self.arrival(&site.interface, before);
            format!("{how}: attached by {}", site.hooks())
        });
        let is_back = |gone: &&Interface| {
            let mut attached = self.attached.iter();
            attached.any(|site| site.interface.name == gone.name)
        };
        let detached = self
            .detached
            .iter()
            .filter(|gone| !is_back(gone))
            .map(|gone| departure(gone, before, now, wanted));
        attached.chain(detached).collect()
    }

    fn arrival(&self, interface: &Interface, before: &Network) -> String {
        let name = &interface.name;
        let known = before
            .interfaces
            .iter()
            .find(|each| each.index == interface.index);
        let was_there = |gone: &Interface| gone.name == *name && gone.index != interface.index;
        match known {
            Some(known) if known.name != *name => format!("{} was renamed to {name}", known.name),
            Some(_) => format!("{name} was not attached"),
            None if self.detached.iter().any(was_there) => format!("{name} was made again"),
            None => format!("{name} appeared"),
        }
    }
}

/// One line about an instance, for the service manager.
pub fn status(loaded: &Loaded) -> String {
    let names: Vec<_> = loaded
        .interfaces
        .iter()
        .filter(|loaded| loaded.attached)
        .map(|loaded| loaded.interface.name.as_str())
        .collect();
    let redirecting = match names.is_empty() {
        true => "redirecting nowhere".to_owned(),
        false => format!("redirecting on {}", names.join(", ")),
    };
    let off = loaded
        .interfaces
        .iter()
        .filter(|loaded| !loaded.attached)
        .map(|loaded| format!("{} is {}", loaded.interface.name, loaded.place.state()));
    let missing = loaded.missing.iter().map(|missing| match missing {
        Missing::Absent(selector) => format!("waiting for {selector}"),
        Missing::Unattached(interface) => format!("{} is not attached", interface.name),
    });
    let degraded: Vec<_> = off.chain(missing).collect();
    match degraded.is_empty() {
        true => redirecting,
        false => format!("degraded: {redirecting}; {}", degraded.join("; ")),
    }
}

fn departure(gone: &Interface, before: &Network, now: &Network, wanted: &[Selector]) -> String {
    let named = |network: &Network| {
        let mut interfaces = network.interfaces.iter();
        let found = interfaces.find(|each| each.index == gone.index);
        found.map(|each| each.name.clone())
    };
    let was = named(before).unwrap_or_else(|| gone.name.clone());
    let fate = match named(now) {
        Some(name) if name != was => format!("{was} was renamed to {name}: detached"),
        Some(_) => format!("{was} is no longer wanted: detached"),
        None => format!("{was} disappeared"),
    };
    let is_awaited =
        |selector: &Selector| selector.matches(&was) && now.matching(selector).is_empty();
    match wanted.iter().find(|selector| is_awaited(selector)) {
        Some(selector) => format!("{fate}; waiting for {selector}"),
        None => fate,
    }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
