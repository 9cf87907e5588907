//! Rules and settings, validated once; nothing downstream validates again.

use std::{fmt, net::IpAddr, num::NonZeroU16};

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

/// What was written `[ADDRESS:]FROM:TO[/PROTOCOL]`; `both` has become two rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub protocol: Protocol,
    /// `None`: every local address.
    pub address: Option<IpAddr>,
    pub from: Port,
    pub to: Port,
    /// Empty: every interface of the instance.
    pub interfaces: Vec<Interface>,
}

/// The attach point of the ingress half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    #[default]
    Auto,
    Tc,
}

/// What an instance should be: the one validated type that the command line and the file lower into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub interfaces: Vec<Interface>,
    pub hook: Hook,
    pub rules: Vec<Rule>,
}
