//! Bringing an instance in line with a network.

use std::collections::BTreeMap;

use anyhow::Error;

use super::{keeper::Keeper, words::Moves};
use crate::{check, config::Interface, host::Network, kernel::Outcome, plan::Plan};

/// What came of it.
#[derive(Default)]
pub struct Reconciled {
    pub moves: Moves,
    /// What could not be attached, by index, and why.
    pub refused: BTreeMap<u32, Error>,
}

impl Keeper {
    /// Attaches what is wanted of a network, and detaches the rest. What cannot be attached does not keep
    /// others from it, unless it was attached already.
    pub(super) fn reconcile(&mut self, network: &Network) -> anyhow::Result<Reconciled> {
        let mut reconciled = Reconciled::default();
        let (outcome, known) = self.apply_most(network)?;
        reconciled.moves.add(outcome);
        let mut known = known;
        let is_left = |each: &&Interface| !known.interfaces.contains(each);
        let mut left: Vec<_> = network.interfaces.iter().filter(is_left).collect();
        left.retain(|each| self.is_wanted(each));
        for interface in left {
            let mut with = known.clone();
            with.interfaces.push(interface.clone());
            match self.apply(&with) {
                Ok(outcome) => {
                    reconciled.moves.add(outcome);
                    known = with;
                }
                Err(error) => _ = reconciled.refused.insert(interface.index, error),
            }
        }
        Ok(reconciled)
    }

    /// All of a network if that can be, or without what was refused before, or without all that is new.
    fn apply_most(&mut self, network: &Network) -> anyhow::Result<(Outcome, Network)> {
        let loaded = self.loaded()?;
        let is_new = |interface: &Interface| {
            let mut attached = loaded.interfaces.iter().filter(|loaded| loaded.attached);
            !attached.any(|loaded| loaded.interface.index == interface.index)
        };
        let was_refused = |each: &Interface| self.refused.contains_key(&each.index) && is_new(each);
        let fewer = [network.without(was_refused), network.without(is_new)];
        let mut tried = network;
        let mut outcome = self.apply(network);
        for network in &fewer {
            if outcome.is_err() && network.interfaces.len() < tried.interfaces.len() {
                tried = network;
                outcome = self.apply(network);
            }
        }
        Ok((outcome?, tried.clone()))
    }

    /// All that is wanted of a network, or nothing.
    fn apply(&mut self, network: &Network) -> anyhow::Result<Outcome> {
        let config = self.draft.lower_awaiting(network)?.config;
        let plan = Plan::new(Some(&self.loaded()?), &config);
        if plan.is_empty() && config.wanted == self.wanted {
            return Ok(Outcome::Unchanged);
        }
        let (outcome, _) =
            check::examine_beside(&config, |netfilter| self.claim.reload(&config, netfilter));
        let outcome = outcome?;
        self.wanted = config.wanted;
        Ok(outcome)
    }

    fn is_wanted(&self, interface: &Interface) -> bool {
        let mut wanted = self.wanted.iter();
        wanted.any(|wanted| wanted.matches(&interface.name))
    }
}
