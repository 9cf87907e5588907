//! Rules of ours come before all of netfilter's on an interface, and say nothing of families. So a line must not
//! be taken whose rule would also take what a line that is left redirects elsewhere.

use std::collections::BTreeMap;

use super::{
    entry::{EVERY_INTERFACE, Entry},
    lower::{Outcome, Place, Source},
    model::{Action, Conditions, Families, Hook},
};

/// From whom a line's rules would steal. Of its own chain nobody: the order in there has been heeded.
pub fn from(
    (own, number): Place,
    entries: &[Entry],
    sources: &[Source],
    outcomes: &BTreeMap<Place, Outcome>,
) -> Option<String> {
    let incoming: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.own)
        .map(|entry| (entry, conditions(entry)))
        .collect();
    for (index, source) in sources.iter().enumerate() {
        for chain in &source.listing.chains {
            let is_own = index == own && chain.rules.iter().any(|rule| rule.line == number);
            if is_own || matches!(chain.hook, Some(Hook::Output | Hook::Other)) {
                continue;
            }
            let robbed = chain.rules.iter().find_map(|rule| {
                let is_left = matches!(outcomes.get(&(index, rule.line)), Some(Outcome::Left(_)));
                let redirects = matches!(rule.action, Action::Redirect(_) | Action::Elsewhere(_));
                let mut ours = incoming.iter();
                let met = ours.find(|(_, ours)| ours.may_meet(&rule.conditions));
                met.filter(|_| is_left && redirects)
                    .map(|(entry, _)| (rule, entry))
            });
            if let Some((rule, entry)) = robbed {
                let line = format!("line {} of {}", rule.line, source.name);
                return Some(match rule.action {
                    Action::Redirect(to) if to == entry.to.get() => {
                        format!(
                            "a rule would also take more than {line} sends there, which is left"
                        )
                    }
                    _ => format!("a rule would also take what {line} sends elsewhere"),
                });
            }
        }
    }
    None
}

/// What a rule of ours takes.
fn conditions(entry: &Entry) -> Conditions {
    let mut conditions = Conditions::new(Families::BOTH);
    conditions.protocols.push(entry.protocol);
    conditions.ports = Some(vec![entry.from.get()..=entry.from.get()]);
    if !entry.interfaces.iter().any(|name| name == EVERY_INTERFACE) {
        conditions.inbound.clone_from(&entry.interfaces);
    }
    if let Some(address) = entry.address {
        conditions.families = Families::of_address(&address);
        let bits = if address.is_ipv4() { 32 } else { 128 };
        conditions.destination = super::model::Destination::Network(address, bits);
    }
    conditions
}
