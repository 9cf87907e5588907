//! Would a load work here, and would traffic reach the application?
//!
//! Each question has a file: facts are read once, and a pure function turns them into findings.

mod attached;
mod existing_redirect;
mod firewall;
mod interface;
mod kernel;
mod listener;
mod shadowed;
mod sockets;

use std::{fmt, sync::OnceLock, thread};

use serde::Serialize;

pub use self::sockets::bound as bound_sockets;
use crate::{
    config::{Config, Interface, Name, Rule},
    kernel::{Error as Refusal, rehearse_change, rehearse_load},
    output::chain,
    plan::Loaded,
};

/// One answer, about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which question: stable, for programs.
    pub id: &'static str,
    pub level: Level,
    /// What it is about: a rule as it is written, or an interface.
    pub subject: String,
    /// One line.
    pub message: String,
    /// The way out, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// For which nothing gets to the application on some way, or what was kept from it before is so no longer.
    #[serde(skip)]
    pub forbids_import: Versions,
}

/// Of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    pub ipv4: bool,
    pub ipv6: bool,
}

impl Versions {
    pub const NONE: Self = Self {
        ipv4: false,
        ipv6: false,
    };

    #[cfg(test)]
    const fn of(ipv6: bool) -> Self {
        Self { ipv4: !ipv6, ipv6 }
    }

    const fn has(self, ipv6: bool) -> bool {
        if ipv6 { self.ipv6 } else { self.ipv4 }
    }

    /// For a message: nothing if it is about both.
    const fn scope(self) -> &'static str {
        match (self.ipv4, self.ipv6) {
            (true, false) => " over IPv4",
            (false, true) => " over IPv6",
            _ => "",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be; may still carry a remark.
    Ok,
    /// A load succeeds, but some traffic will not get where it should.
    Warning,
    /// A load would fail.
    Failure,
}

/// A fact without which nothing can be said. A firewall that cannot be read is a finding instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot list listening sockets: {0}")]
    Sockets(#[source] procfs::ProcError),
    #[error("cannot list network interfaces: {0}")]
    Interfaces(#[source] nix::Error),
}

/// Whether a load would work: permissions, and what the kernel makes of the programs.
pub fn examine_kernel() -> Vec<Finding> {
    kernel::findings()
}

/// Why a load of this would be refused, if it would, or a reload where an instance of that name is loaded with something
/// else. Whether bpf(2) is permitted is for [`examine_kernel`] to say.
pub fn examine_load(name: &Name, config: &Config) -> Option<Finding> {
    const ID: &str = "load";
    let (verb, rehearsed) = match rehearse_load(name, config) {
        Err(Refusal::Differs { .. }) => ("reload", rehearse_change(name, config)),
        rehearsed => (ID, rehearsed),
    };
    match rehearsed.err()? {
        Refusal::NotPermitted { .. } | Refusal::Filtered => None,
        error => Some(Finding::new(ID, Level::Failure, verb, chain(&error))),
    }
}

/// Whether what is loaded holds to its interfaces: a finding for each where it does not. The way out is
/// another one where a `redirector run` keeps the instance.
pub fn examine_loaded(name: &Name, loaded: &Loaded, supervisor: Option<i32>) -> Vec<Finding> {
    attached::findings(name, loaded, supervisor)
}

/// What is so on this host, in the current network namespace.
#[derive(Debug)]
pub struct Examination {
    /// Everything worth saying.
    pub findings: Vec<Finding>,
    /// As far as its rules could be read.
    pub netfilter: Netfilter,
}

/// What netfilter may do with connections to our ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Netfilter {
    /// It translates no addresses or ports, not even of connections that it did before: those chains of
    /// it that could are gone.
    #[default]
    Nothing,
    /// It goes on with connections of rules that it had before.
    Continues,
    /// It redirects one of the ports, too.
    Redirects,
}

/// Changes nothing.
///
/// # Errors
///
/// [`Error`] if the kernel will not list sockets or interfaces.
pub fn examine(config: &Config) -> Result<Examination, Error> {
    let links = interface::read()?;
    let sockets = sockets::read(config)?;
    let firewall = firewall::read();
    let mut findings = interface::findings(config, &links);
    findings.extend(listener::findings(config, &sockets, &links));
    findings.extend(shadowed::findings(config, &sockets));
    let text = firewall::texts();
    findings.extend(firewall::findings(config, &firewall, &links, &text));
    let redirects = existing_redirect::findings(config, &firewall.tables, &text);
    let netfilter = if !redirects.is_empty() {
        Netfilter::Redirects
    } else if firewall.translates() {
        Netfilter::Continues
    } else {
        Netfilter::Nothing
    };
    findings.extend(redirects);
    Ok(Examination {
        findings,
        netfilter,
    })
}

/// Makes a change while the host is examined, since the questions take as long as the change; it is
/// handed a way to wait for what netfilter does.
pub fn examine_beside<T>(
    config: &Config,
    change: impl FnOnce(&dyn Fn() -> Netfilter) -> T,
) -> (T, Result<Examination, Error>) {
    let examination = OnceLock::new();
    let outcome = thread::scope(|scope| {
        let examine = || examination.get_or_init(|| examine(config));
        scope.spawn(examine);
        change(&|| {
            let host = examine().as_ref();
            host.map_or_else(|_| Netfilter::default(), |host| host.netfilter)
        })
    });
    let examined = examination.into_inner().unwrap_or_else(|| examine(config));
    (outcome, examined)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.contains(&self.subject) {
            write!(f, "{}: ", self.subject)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl Finding {
    fn new(
        id: &'static str,
        level: Level,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            id,
            level,
            subject: subject.into(),
            message: message.into(),
            help: None,
            forbids_import: Versions::NONE,
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }
}

/// The rule as it would be written on the command line.
fn subject(rule: &Rule) -> String {
    let Rule {
        from, to, protocol, ..
    } = rule;
    match rule.address {
        None => format!("{from}:{to}/{protocol}"),
        Some(address) => format!("{}:{from}:{to}/{protocol}", bracketed(address)),
    }
}

fn bracketed(address: std::net::IpAddr) -> String {
    if address.is_ipv6() {
        format!("[{address}]")
    } else {
        address.to_string()
    }
}

/// Names of the interfaces whose traffic the rule takes.
fn interfaces<'a>(config: &'a Config, rule: &'a Rule) -> impl Iterator<Item = &'a str> {
    places(config, rule).map(|interface| interface.name.as_str())
}

fn places<'a>(config: &'a Config, rule: &'a Rule) -> impl Iterator<Item = &'a Interface> {
    let own = if rule.interfaces.is_empty() {
        &config.interfaces
    } else {
        &rule.interfaces
    };
    own.iter()
}

#[cfg(test)]
mod tests;
