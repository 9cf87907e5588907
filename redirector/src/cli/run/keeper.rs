//! An instance, and what keeps it in line with the interfaces.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Error;

use super::{reconcile::Reconciled, say, words};
use crate::{
    check::{self, Examination},
    cli::{args::Run, changes, drain::Draining},
    config::{Config, Draft, Name, Resolved, Selector},
    host::Network,
    kernel::{self, Claim, Instance, LinkChange, Outcome, Reach},
    plan::{Loaded, Plan},
};

const LOADED: changes::Words = changes::Words {
    unchanged: "is loaded already, with these rules and interfaces",
    done: "loaded",
};

const REREAD: changes::Words = changes::Words {
    unchanged: "is as wanted already",
    done: "reloaded",
};

/// As often as interfaces may change while a run takes over.
const TRIES: u32 = 5;

pub struct Keeper {
    pub(super) name: Name,
    pub(super) claim: Claim,
    pub(super) draft: Draft,
    /// What the instance tells its readers that it waits for.
    pub(super) wanted: Vec<Selector>,
    /// The interfaces that what is attached is in line with.
    seen: Network,
    /// What could not be attached, by index, and why.
    pub(super) refused: BTreeMap<u32, String>,
}

impl Keeper {
    /// Loads what is not loaded, as `load` does, and takes over what is.
    pub fn start(args: &Run) -> anyhow::Result<Self> {
        let name = &args.instance.name;
        let draft = args.source.draft()?;
        loop {
            let network = Network::read()?;
            let resolved = draft.lower_awaiting(&network)?;
            let is_loaded = match Instance::find(name) {
                Err(error @ kernel::Error::OtherVersion { .. }) => {
                    say(format_args!("note: {error}; it is replaced now"));
                    kernel::unload(name, Reach::Here)?;
                    false
                }
                found => found?.is_some(),
            };
            let claim = if is_loaded {
                match Claim::take(name) {
                    // Somebody unloaded it meanwhile.
                    Err(kernel::Error::NotLoaded { .. }) => continue,
                    taken => taken?,
                }
            } else {
                match load(args, &resolved) {
                    Ok(claim) => claim,
                    // Somebody was faster, or the interfaces are others meanwhile.
                    Err(kernel::Error::Differs { .. }) => continue,
                    Err(_) if is_outdated(&draft, &resolved.config)? => continue,
                    Err(error) => return Err(error.into()),
                }
            };
            for notice in &resolved.notices {
                say(format_args!("note: {notice}"));
            }
            let mut keeper = Self {
                name: name.clone(),
                claim,
                draft: draft.keep_interfaces(&resolved.config),
                wanted: Vec::new(),
                seen: Network::default(),
                refused: BTreeMap::new(),
            };
            if is_loaded {
                keeper.take_over(&resolved, network)?;
            } else {
                keeper.wanted = resolved.config.wanted;
                keeper.seen = network;
            }
            return Ok(keeper);
        }
    }

    /// After a change of interfaces. False if it changed nothing for us; fails if there is nothing left
    /// to keep.
    pub fn follow(&mut self, change: LinkChange) -> anyhow::Result<bool> {
        let network = Network::read()?;
        let is_as_before = network.interfaces == self.seen.interfaces;
        if is_as_before && change == LinkChange::Changed && self.refused.is_empty() {
            return Ok(false);
        }
        match self.reconcile(&network) {
            Ok(reconciled) => self.settle(reconciled, network)?,
            Err(error) => {
                // Whatever comes next, it is tried again.
                self.seen = Network::default();
                // Another event is on its way then, and another outcome.
                if Network::read()?.interfaces == network.interfaces {
                    say(format_args!("error: {error:#}"));
                }
                fail_if_unloaded(error)?;
            }
        }
        Ok(true)
    }

    /// Reads the configuration again. A bad one changes nothing, and neither does one that the kernel
    /// refuses; then the earlier one stays in force, and this is false.
    pub fn reread(&mut self, args: &Run) -> anyhow::Result<bool> {
        let network = Network::read()?;
        if let Err(error) = self.replace(args, &network) {
            say(format_args!(
                "error: cannot reload, so nothing was changed: {error:#}"
            ));
            return fail_if_unloaded(error).map(|()| false);
        }
        self.follow(LinkChange::Gone).map(|_| true)
    }

    pub fn stop(self) -> anyhow::Result<()> {
        self.claim.unload()?;
        say(format_args!("unloaded instance \"{}\"", self.name));
        Ok(())
    }

    /// Redirects nothing new from now on.
    pub fn drain(&self, limit: Duration) -> anyhow::Result<Option<Draining>> {
        let drain = self.claim.drain()?;
        Ok(drain.map(|drain| Draining::new(drain, limit)))
    }

    pub fn stop_drained(self, draining: Draining) -> anyhow::Result<()> {
        let (drain, report) = draining.end()?;
        self.claim.unload_drained(drain)?;
        say(format_args!("{report}unloaded instance \"{}\"", self.name));
        Ok(())
    }

    /// One line.
    pub fn status(&self) -> anyhow::Result<String> {
        Ok(words::status(&self.loaded()?))
    }

    /// Brings what was loaded before to the configuration.
    fn take_over(&mut self, resolved: &Resolved, network: Network) -> anyhow::Result<()> {
        let plan = Plan::new(Some(&self.loaded()?), &resolved.config);
        let taken = format!(
            "took over instance \"{}\" from {}\n{plan}",
            self.name, resolved.origin
        );
        say(taken.trim_end());
        let (reconciled, network) = self.reconcile_as_it_is(network)?;
        self.settle(reconciled, network)
    }

    /// The interfaces may be others before it is done: then those are what counts.
    fn reconcile_as_it_is(
        &mut self,
        mut network: Network,
    ) -> anyhow::Result<(Reconciled, Network)> {
        let mut tries = 1..=TRIES;
        loop {
            let error = match self.reconcile(&network) {
                Ok(reconciled) => return Ok((reconciled, network)),
                Err(error) => error,
            };
            let now = Network::read()?;
            tries.next();
            if now.interfaces == network.interfaces || tries.is_empty() {
                return Err(error);
            }
            fail_if_unloaded(error)?;
            network = now;
        }
    }

    /// What could not be attached before does not keep the rest from being changed.
    fn replace(&mut self, args: &Run, network: &Network) -> anyhow::Result<()> {
        let draft = args.source.draft()?;
        let resolved = draft.lower_awaiting(network)?;
        let draft = draft.keep_interfaces(&resolved.config);
        let known = network.without(|each| self.refused.contains_key(&each.index));
        let config = draft.lower_awaiting(&known)?.config;
        let (outcome, examined) =
            check::examine_beside(&config, |netfilter| self.claim.reload(&config, netfilter));
        tell(&self.name, &resolved, &REREAD, &outcome?, &examined);
        for notice in &resolved.notices {
            say(format_args!("note: {notice}"));
        }
        self.seen = network.clone();
        self.wanted = config.wanted;
        self.draft = draft;
        Ok(())
    }

    /// Tells what was done, and what could not be done if it is news.
    fn settle(&mut self, reconciled: Reconciled, network: Network) -> anyhow::Result<()> {
        let Reconciled { moves, refused } = reconciled;
        for line in moves
            .lines(&self.seen, &network, &self.wanted)
            .iter()
            .chain(&moves.notes)
        {
            say(line);
        }
        let now = Network::read()?;
        let refused = refused
            .into_iter()
            .map(|(index, error)| (index, format!("{error:#}")))
            .collect();
        let before = std::mem::replace(&mut self.refused, refused);
        for (index, why) in &self.refused {
            // One that has gone or changed its name meanwhile is the next event's.
            let interface = network.interfaces.iter().find(|each| each.index == *index);
            if let Some(interface) = interface
                && now.interfaces.contains(interface)
                && before.get(index) != Some(why)
            {
                say(format_args!(
                    "error: {} is not attached, which is tried again when interfaces change: {why}",
                    interface.name
                ));
            }
        }
        self.seen = network;
        Ok(())
    }

    pub(super) fn loaded(&self) -> Result<Loaded, kernel::Error> {
        Instance::open(&self.name)?.loaded()
    }
}

fn load(args: &Run, resolved: &Resolved) -> Result<Claim, kernel::Error> {
    let config = &resolved.config;
    let name = &args.instance.name;
    let (outcome, examined) = check::examine_beside(config, |netfilter| {
        Claim::load(name, config, args.options.into(), netfilter)
    });
    let (outcome, claim) = outcome?;
    tell(name, resolved, &LOADED, &outcome, &examined);
    Ok(claim)
}

fn is_outdated(draft: &Draft, config: &Config) -> anyhow::Result<bool> {
    Ok(draft.lower_awaiting(&Network::read()?)?.config != *config)
}

fn tell(
    name: &Name,
    resolved: &Resolved,
    words: &changes::Words,
    outcome: &Outcome,
    examined: &Result<Examination, check::Error>,
) {
    say(changes::told(name, resolved, words, outcome).trim_end());
    let notes = changes::notes(outcome);
    for line in notes.into_iter().chain(changes::warnings(examined)) {
        say(line);
    }
}

/// Then there is nothing to keep; any other error leaves something.
fn fail_if_unloaded(error: Error) -> anyhow::Result<()> {
    match error.downcast_ref() {
        Some(kernel::Error::NotLoaded { .. }) => Err(error),
        _ => Ok(()),
    }
}
