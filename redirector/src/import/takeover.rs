//! From netfilter's redirects to ours, without a moment in which neither or both of them redirect.
//!
//! Beside netfilter's rules ours come first for what arrives on an interface, and netfilter's for this host's
//! own connections; either way one of them redirects a connection, and it keeps what it began with. So they
//! are loaded beside each other, then netfilter's are taken away.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use super::{
    addresses::Addresses,
    knock::knock,
    lower::{Imported, Rule as ImportedRule},
    running::Script,
};
use crate::{
    check::{self, Level, Netfilter, Versions},
    config::{Config, Interface, Name, Protocol, Rule},
    kernel::{self, Instance, Outcome, PinMode, Probe, Reach},
    netfilter::{Trouble, feed},
    stats::Snapshot,
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{why}; {state}")]
    Failed { why: String, state: String },
    #[error("cannot load: nothing was changed")]
    Load(#[source] kernel::Error),
}

/// What is known before anything is changed.
pub struct Examined {
    addresses: Addresses,
    netfilter: Netfilter,
}

/// What there is to move.
#[derive(Debug)]
pub struct Takeover<'a> {
    pub name: &'a Name,
    pub config: &'a Config,
    pub imported: &'a Imported,
    pub scripts: &'a [Script],
}

impl Takeover<'_> {
    /// Whatever takes long comes first: while both are there, connections by netfilter look direct to us.
    /// Changes nothing.
    pub fn examine(&self, tell: &mut dyn FnMut(String)) -> Result<Examined, Error> {
        let unchanged = |why| Error::Failed {
            why,
            state: "nothing was changed".to_owned(),
        };
        let addresses = Addresses::read().map_err(|error| unchanged(error.to_string()))?;
        let answered = self.connect_targets(&addresses).map_err(unchanged)?;
        tell(format!("the application answers on {}", join(&answered)));
        let examined = check::examine(self.config).map_err(|error| unchanged(error.to_string()))?;
        for finding in &examined.findings {
            // Before the rewrite it may have been let in, by `ct status dnat` for one.
            if self.concerns(finding.forbids_import) {
                return Err(unchanged(format!("it would not be as it is: {finding}")));
            }
            // That netfilter redirects too is why we are here.
            if finding.level > Level::Ok && finding.id != "existing-redirect" {
                tell(format!("warning: {finding}"));
            }
        }
        if let Some(warning) = self.forwarding() {
            tell(warning);
        }
        Ok(Examined {
            addresses,
            netfilter: examined.netfilter,
        })
    }

    /// Tells each step that is done. An error has undone them all, or says which it could not undo.
    pub fn run(&self, examined: &Examined, tell: &mut dyn FnMut(String)) -> Result<(), Error> {
        let options = kernel::LoadOptions {
            log_level: log::LevelFilter::Warn,
            pins: PinMode::default(),
        };
        let loaded = kernel::load(self.name, self.config, options, &|| examined.netfilter);
        let is_new = !matches!(loaded.map_err(Error::Load)?, Outcome::Unchanged);
        tell(match is_new {
            true => format!("loaded instance \"{}\"", self.name),
            false => format!("instance \"{}\" is loaded already", self.name),
        });
        let mut removed = Vec::new();
        self.steps(&examined.addresses, &mut removed, tell)
            .map_err(|why| {
                let state = self.undo(&removed, is_new);
                Error::Failed { why, state }
            })
    }

    /// Whether some of what was redirected is of these versions of IP.
    fn concerns(&self, versions: Versions) -> bool {
        let mut families = self.imported.rules.iter().map(|rule| rule.families);
        families.any(|of| of.ipv4 && versions.ipv4 || of.ipv6 && versions.ipv6)
    }

    /// Netfilter redirects what passes through as well; nobody can tell from here whether anything does.
    fn forwarding(&self) -> Option<String> {
        let is_forwarding = |interface: &&Interface| {
            !interface.is_loopback()
                && ["ipv4", "ipv6"].iter().any(|family| {
                    let file = format!("/proc/sys/net/{family}/conf/{}/forwarding", interface.name);
                    fs::read_to_string(file).is_ok_and(|text| text.trim() == "1")
                })
        };
        let names: Vec<_> = self
            .config
            .interfaces
            .iter()
            .filter(is_forwarding)
            .map(|interface| interface.name.as_str())
            .collect();
        let is_for_all = |imported: &&ImportedRule| imported.spec.address.is_none();
        let rule = self.imported.rules.iter().find(is_for_all)?;
        (!names.is_empty()).then(|| {
            format!(
                "warning: {} forwards: what is on its way to port {} of other hosts was redirected by rules without \
                 a local address, as for a transparent proxy, and is not from now on",
                names.join(", "),
                rule.spec.from
            )
        })
    }

    fn steps<'a>(
        &'a self,
        addresses: &Addresses,
        removed: &mut Vec<&'a Script>,
        tell: &mut dyn FnMut(String),
    ) -> Result<(), String> {
        let instance = Instance::open(self.name).map_err(|error| error.to_string())?;
        let asked = self.ask(&instance, addresses)?;
        tell(format!(
            "{asked} packets to the rules' ports would reach their targets"
        ));
        for script in self.scripts {
            feed(&script.program, &script.arguments, &script.remove)
                .map_err(|error: Trouble| format!("cannot remove the old rules: {error}"))?;
            removed.push(script);
            tell(format!(
                "removed {} rules by {}",
                script.count, script.program
            ));
            if let Some(command) = &script.left {
                tell(format!(
                    "note: a rule that lets everything pass keeps what netfilter had redirected alive; \
                     when those connections have ended: {command}"
                ));
            }
        }
        let probed = self.connect_sources(&instance)?;
        if !probed.is_empty() {
            tell(format!(
                "connections to {} are redirected and answered",
                join(&probed)
            ));
        }
        Ok(())
    }

    /// Each rule on each of its interfaces, by the program that is attached there.
    fn ask(&self, instance: &Instance, addresses: &Addresses) -> Result<usize, String> {
        let mut asked = 0;
        for (rule, imported) in self.rules() {
            for interface in interfaces(self.config, rule) {
                let Some(ethernet) = addresses.ethernet(&interface.name) else {
                    continue;
                };
                for to in addresses.reached_by(rule, imported.families, &interface.name) {
                    let probe = Probe {
                        interface,
                        ethernet,
                        protocol: rule.protocol,
                        to,
                        port: rule.from,
                    };
                    let port =
                        kernel::probe(instance, &probe).map_err(|error| error.to_string())?;
                    if port != rule.to.get() {
                        return Err(format!(
                            "a packet to {} on {} is not redirected",
                            SocketAddr::new(to, rule.from.get()),
                            interface.name
                        ));
                    }
                    asked += 1;
                }
            }
        }
        Ok(asked)
    }

    /// What other hosts would reach through the rules.
    fn connect_targets(&self, addresses: &Addresses) -> Result<BTreeSet<SocketAddr>, String> {
        let mut targets = BTreeSet::new();
        for (rule, imported) in self.rules() {
            if let Some(address) = rule.address
                && !addresses.are_of_this_host(address)
            {
                return Err(format!("{address} is no address of this host, in {rule}"));
            }
            if rule.protocol == Protocol::Udp {
                continue;
            }
            for interface in interfaces(self.config, rule) {
                let reached = addresses.reached_by(rule, imported.families, &interface.name);
                targets.extend(reached.map(|to| SocketAddr::new(to, rule.to.get())));
            }
        }
        for target in &targets {
            knock(*target)?;
        }
        Ok(targets)
    }

    /// Only what is redirected on loopback can be tried from here.
    fn connect_sources(&self, instance: &Instance) -> Result<BTreeSet<SocketAddr>, String> {
        let mut probed = BTreeSet::new();
        for (rule, imported) in self.rules() {
            let has_loopback = interfaces(self.config, rule).any(Interface::is_loopback);
            if !has_loopback || rule.protocol == Protocol::Udp {
                continue;
            }
            for to in Addresses::loopback(rule, imported.families) {
                let to = SocketAddr::new(to, rule.from.get());
                let before = connections(instance, rule)?;
                knock(to)?;
                if connections(instance, rule)? == before {
                    return Err(format!("a connection to {to} was not redirected by {rule}"));
                }
                probed.insert(to);
            }
        }
        Ok(probed)
    }

    fn rules(&self) -> impl Iterator<Item = (&Rule, &ImportedRule)> {
        self.config.rules.iter().filter_map(|rule| {
            let is_it = |imported: &&ImportedRule| {
                let spec = &imported.spec;
                let same = (spec.address, spec.from, spec.to) == (rule.address, rule.from, rule.to);
                same && spec.protocol.each().contains(&rule.protocol)
            };
            Some((rule, self.imported.rules.iter().find(is_it)?))
        })
    }

    /// Says how the host is left. Netfilter's rules come back first, so that one of both redirects throughout.
    fn undo(&self, removed: &[&Script], is_new: bool) -> String {
        for script in removed {
            if let Err(error) = feed(&script.program, &script.arguments, &script.restore) {
                return format!(
                    "the old rules could not be restored ({error}), so instance \"{}\" stays loaded; \
                     what {} should have read:\n{}",
                    self.name, script.program, script.restore
                );
            }
        }
        let rules = match removed {
            [] => "the old rules are as they were",
            _ => "the old rules are back in their places",
        };
        if !is_new {
            return format!("{rules}, and instance \"{}\" stays loaded", self.name);
        }
        match kernel::unload(self.name, Reach::Here) {
            Ok(_) => format!("{rules}, and nothing is loaded"),
            Err(error) => format!("{rules}; unloading failed: {error}"),
        }
    }
}

fn interfaces<'a>(config: &'a Config, rule: &'a Rule) -> impl Iterator<Item = &'a Interface> {
    match rule.interfaces.as_slice() {
        [] => config.interfaces.iter(),
        own => own.iter(),
    }
}

fn connections(instance: &Instance, rule: &Rule) -> Result<u64, String> {
    let snapshot = Snapshot::read(instance).map_err(|error| error.to_string())?;
    let counted = snapshot.rules.iter().find(|stats| stats.rule == *rule);
    Ok(counted.map_or(0, |stats| stats.counters.connections))
}

fn join(addresses: &BTreeSet<SocketAddr>) -> String {
    let words: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    words.join(", ")
}
