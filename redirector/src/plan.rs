//! What a load or reload would change, computed without touching anything: `--dry-run` prints it.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use crate::config::{Config, Hook, Interface, Port, Rule, Selector, XdpMode};

/// What an instance does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub since: SystemTime,
    /// In the order of the configuration.
    pub interfaces: Vec<LoadedInterface>,
    /// Whose interfaces `run` is to attach; empty if no `run` loaded it.
    pub wanted: Vec<Selector>,
    /// What of it is not attached.
    pub missing: Vec<Missing>,
    /// In the order in which they were first loaded.
    pub rules: Vec<LoadedRule>,
    /// Whether its programs are of another build than ours.
    pub is_outdated: bool,
}

impl Loaded {
    /// Those that were attached, and then those that are wanted and there.
    pub fn present(&self) -> impl Iterator<Item = &Interface> {
        let loaded = self.interfaces.iter().map(|loaded| &loaded.interface);
        loaded.chain(self.missing.iter().filter_map(|missing| match missing {
            Missing::Absent(_) => None,
            Missing::Unattached(interface) => Some(interface),
        }))
    }

    pub fn hooks(&self) -> Hooks {
        let mut hooks = Hooks::default();
        hooks.learn(self);
        hooks
    }

    /// The configuration that would load the same.
    pub fn config(&self) -> Config {
        Config {
            interfaces: self
                .interfaces
                .iter()
                .map(|loaded| loaded.interface.clone())
                .collect(),
            wanted: self.wanted.clone(),
            hook: Hook::default(),
            xdp_mode: XdpMode::default(),
            rules: self
                .rules
                .iter()
                .map(|loaded| loaded.rule.clone())
                .collect(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedInterface {
    pub interface: Interface,
    /// Both halves.
    pub attached: bool,
    pub place: Presence,
    pub hook: IngressHook,
}

/// Where an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// In the instance's network namespace, as far as that is seen from here.
    Here,
    /// In another one, with programs of ours on it: links stay with an interface wherever it goes.
    Elsewhere,
    Gone,
    /// One of the two, for those who may not know.
    GoneOrElsewhere,
}

impl Presence {
    /// In one word, of one that is not attached.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Here => "detached",
            Self::Elsewhere => "moved",
            Self::Gone => "gone",
            Self::GoneOrElsewhere => "gone or moved",
        }
    }
}

/// Wanted, and not attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No interface has this name or matches this pattern.
    Absent(Selector),
    /// It exists; something kept it from being attached.
    Unattached(Interface),
}

/// Where an interface's ingress half is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressHook {
    Tcx,
    Clsact,
    XdpNative,
    XdpGeneric,
}

impl IngressHook {
    /// The stable name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
            Self::XdpNative => "xdp-native",
            Self::XdpGeneric => "xdp-generic",
        }
    }

    /// `None` for traffic control.
    pub const fn xdp_mode(self) -> Option<XdpMode> {
        match self {
            Self::Tcx | Self::Clsact => None,
            Self::XdpNative => Some(XdpMode::Native),
            Self::XdpGeneric => Some(XdpMode::Generic),
        }
    }

    /// Whether a configuration is content with it. XDP is never put on loopback.
    fn fits(self, config: &Config, interface: &Interface) -> bool {
        let is_xdp = self.xdp_mode().is_some();
        match (config.hook, config.xdp_mode) {
            (Hook::Auto, _) => true,
            (Hook::Tc, _) => !is_xdp,
            (Hook::Xdp, _) if interface.is_loopback() => true,
            (Hook::Xdp, XdpMode::Auto) => is_xdp,
            (Hook::Xdp, XdpMode::Native) => self == Self::XdpNative,
            (Hook::Xdp, XdpMode::Generic) => self == Self::XdpGeneric,
        }
    }
}

/// Where interfaces are or were attached, by name: one that is made again has another index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks(BTreeMap<String, IngressHook>);

impl Hooks {
    /// What holds counts more than what has gone.
    pub fn learn(&mut self, loaded: &Loaded) {
        let (attached, gone): (Vec<_>, Vec<_>) =
            loaded.interfaces.iter().partition(|loaded| loaded.attached);
        let found = gone.into_iter().chain(attached);
        let hooks = found.map(|loaded| (loaded.interface.name.clone(), loaded.hook));
        self.0.extend(hooks);
    }

    pub fn of(&self, interface: &Interface) -> Option<IngressHook> {
        self.0.get(&interface.name).copied()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedRule {
    /// Index into the counters.
    pub number: u32,
    pub rule: Rule,
}

/// The way from what is loaded to a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub detach: Vec<Interface>,
    pub attach: Vec<Interface>,
    /// Attached elsewhere than wanted.
    pub rehook: Vec<Interface>,
    pub rules: Vec<RuleChange>,
    /// Replaced in place by those of this build.
    pub programs: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleChange {
    Add(Rule),
    Remove(Rule),
    /// New connections go to another target.
    Retarget {
        rule: Rule,
        was: Port,
    },
}

impl Plan {
    /// From nothing if nothing is loaded.
    pub fn new(loaded: Option<&Loaded>, config: &Config) -> Self {
        let (interfaces, rules) = match loaded {
            Some(loaded) => (&loaded.interfaces[..], &loaded.rules[..]),
            None => (&[][..], &[][..]),
        };
        let attach = config
            .interfaces
            .iter()
            .filter(|wanted| {
                !interfaces
                    .iter()
                    .any(|loaded| loaded.attached && loaded.interface.index == wanted.index)
            })
            .cloned()
            .collect();
        let detach = interfaces
            .iter()
            .map(|loaded| &loaded.interface)
            .filter(|loaded| {
                !config
                    .interfaces
                    .iter()
                    .any(|wanted| wanted.index == loaded.index)
            })
            .cloned()
            .collect();
        let rehook = interfaces
            .iter()
            .filter(|loaded| loaded.attached && !loaded.hook.fits(config, &loaded.interface))
            .map(|loaded| loaded.interface.clone())
            .filter(|loaded| config.interfaces.contains(loaded))
            .collect();
        let is_outdated = loaded.is_some_and(|loaded| loaded.is_outdated);
        let loaded: Vec<_> = rules.iter().map(|loaded| &loaded.rule).collect();
        Self {
            detach,
            attach,
            rehook,
            rules: rule_changes(&loaded, &config.rules),
            programs: is_outdated,
        }
    }

    /// The interfaces to attach that the instance did not have at all.
    pub fn added(&self, loaded: &Loaded) -> Vec<Interface> {
        let had = |wanted: &Interface| {
            let mut interfaces = loaded.interfaces.iter();
            interfaces.any(|loaded| loaded.interface.index == wanted.index)
        };
        self.attach.iter().filter(|i| !had(i)).cloned().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.detach.is_empty()
            && self.attach.is_empty()
            && self.rehook.is_empty()
            && self.rules.is_empty()
            && !self.programs
    }
}

fn rule_changes(loaded: &[&Rule], wanted: &[Rule]) -> Vec<RuleChange> {
    let before: std::collections::HashMap<_, _> =
        loaded.iter().map(|rule| (identity(rule), *rule)).collect();
    let after: std::collections::HashSet<_> = wanted.iter().map(identity).collect();
    let removed = loaded
        .iter()
        .filter(|rule| !after.contains(&identity(rule)))
        .map(|rule| RuleChange::Remove((*rule).clone()));
    let changed = wanted
        .iter()
        .filter_map(|rule| match before.get(&identity(rule)) {
            None => Some(RuleChange::Add(rule.clone())),
            Some(loaded) if loaded.to != rule.to => Some(RuleChange::Retarget {
                rule: rule.clone(),
                was: loaded.to,
            }),
            Some(_) => None,
        });
    removed.chain(changed).collect()
}

/// What makes two rules the same one, whatever their targets.
fn identity(rule: &Rule) -> impl std::hash::Hash + Eq + use<> {
    let mut interfaces: Vec<_> = rule.interfaces.iter().map(|i| i.index).collect();
    interfaces.sort_unstable();
    (rule.protocol, rule.address, rule.from, interfaces)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for interface in &self.detach {
            writeln!(f, "- {}", interface.name)?;
        }
        for interface in &self.attach {
            writeln!(f, "+ {}", interface.name)?;
        }
        for interface in &self.rehook {
            writeln!(f, "~ {} (to another hook)", interface.name)?;
        }
        if self.programs {
            writeln!(f, "~ the programs (to those of this build)")?;
        }
        for change in &self.rules {
            match change {
                RuleChange::Add(rule) => writeln!(f, "+ {rule}")?,
                RuleChange::Remove(rule) => writeln!(f, "- {rule}")?,
                RuleChange::Retarget { rule, was } => writeln!(f, "~ {rule} (was to {was})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
