//! Rules and settings, validated once; nothing downstream validates again.
//!
//! [`Draft`] is what was asked for (command line, file or defaults); [`Draft::lower`] holds it against
//! this host's interfaces and makes the [`Config`].

mod draft;
mod error;
mod file;
mod lower;
mod name;
mod port_set;
mod rule;
mod select;
mod selector;
mod suggest;
mod sysctl;
mod tuning;

use std::{fmt, net::IpAddr, num::NonZeroU16};

pub use self::{
    draft::{DEFAULT_FILE, Draft, Origin},
    error::{Error, Problem},
    lower::{Notice, Resolved},
    name::{Name, NameError},
    rule::{Protocols, RuleError, RuleSpec},
    selector::{Selector, SelectorError},
    sysctl::{Key, Misfit, Value, with_slashes},
    tuning::{Setting, Tuning},
};

/// The most entries of the rule table. A rule takes one for each protocol and each interface it names.
pub const MAX_RULES: usize = 16384;

/// The most interfaces of an instance, and the most names and patterns of them.
pub const MAX_INTERFACES: usize = redirector_common::abi::MAX_INTERFACES as usize;

/// A TCP or UDP port in host byte order; never 0.
pub type Port = NonZeroU16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// An interface that existed when the configuration was validated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    pub name: String,
    pub index: u32,
}

impl Interface {
    /// Whatever it was renamed to: every network namespace has one, of this index (`LOOPBACK_IFINDEX` of
    /// `include/net/flow.h`).
    pub const LOOPBACK: u32 = 1;

    pub const fn is_loopback(&self) -> bool {
        self.index == Self::LOOPBACK
    }
}

/// What was written `[ADDRESS:]FROM:TO[/PROTOCOL]`; `both` has become two rules.
///
/// Several rules of a [`Config`] can match one packet; the most specific wins: address and interface, then
/// address, then interface, then neither. No two rules of one specificity match the same packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub protocol: Protocol,
    /// `None`: every local address. Never an IPv4-mapped IPv6 address.
    pub address: Option<IpAddr>,
    pub from: Port,
    /// Never equal to `from`.
    pub to: Port,
    /// Empty: every interface of the instance.
    pub interfaces: Vec<Interface>,
}

/// Without the interfaces.
impl From<&Rule> for RuleSpec {
    fn from(rule: &Rule) -> Self {
        Self {
            protocol: rule.protocol.into(),
            address: rule.address,
            from: rule.from,
            to: rule.to,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RuleSpec::from(self).fmt(f)?;
        for (position, interface) in self.interfaces.iter().enumerate() {
            let separator = if position == 0 { " on " } else { ", " };
            write!(f, "{separator}{}", interface.name)?;
        }
        Ok(())
    }
}

/// The attach point of the ingress half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// The best that the kernel and the interface offer
    #[default]
    Auto,
    /// Traffic control: TCX, or clsact below Linux 6.6
    Tc,
    /// XDP for packets of flows that are known, traffic control for the rest
    Xdp,
}

/// Who runs the XDP program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpMode {
    /// The driver, or the kernel where the driver refuses
    #[default]
    Auto,
    /// The driver, before a packet is a socket buffer
    Native,
    /// The kernel, behind any driver
    Generic,
}

/// What an instance should be: the one validated type that the command line and the file lower into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Each once; at least one, unless some are [wanted](Self::wanted).
    pub interfaces: Vec<Interface>,
    /// Whose interfaces `run` attaches as they come. Empty: `interfaces` are all that is wanted.
    pub wanted: Vec<Selector>,
    pub hook: Hook,
    pub xdp_mode: XdpMode,
    /// At least one, unless those of interfaces that do not exist are to come.
    pub rules: Vec<Rule>,
}
