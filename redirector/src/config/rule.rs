//! `[ADDRESS:]FROM:TO[/PROTOCOL]`, as on the command line and, field by field, in the file.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{Port, Protocol, suggest::did_you_mean};

/// A rule that is right in itself, not yet held against the other rules and the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleSpec {
    pub protocol: Protocols,
    /// `None`: every local address. An IPv4-mapped IPv6 address has become the IPv4 one, as on the wire.
    pub address: Option<IpAddr>,
    pub from: Port,
    /// Never equal to `from`.
    pub to: Port,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocols {
    #[default]
    Tcp,
    Udp,
    Both,
}

/// One line that names the rule, the offending word and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}: {fault}")]
pub struct RuleError {
    pub rule: String,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(
        "expected [ADDRESS:]FROM:TO[/PROTOCOL], for example 80:8000 or 203.0.113.5:443:4430/tcp"
    )]
    Shape,
    #[error("an IPv6 address wants brackets: [{address}]:{rest}")]
    Unbracketed { address: Ipv6Addr, rest: String },
    #[error("{0:?} is not an IP address; interfaces are named apart, with -i or `interfaces`")]
    Address(String),
    #[error(
        "address {0:?} has a zone; leave it out and name the interface, with -i or `interfaces`"
    )]
    Zone(String),
    #[error("{0} means every address; leave the address out")]
    Unspecified(IpAddr),
    #[error("{0} is not the address of one host; use a unicast address or leave the address out")]
    NotUnicast(IpAddr),
    #[error("port {0:?} is not between 1 and 65535")]
    PortRange(String),
    #[error("port {0:?} is not a number between 1 and 65535")]
    Port(String),
    #[error("{0:?} is a range of ports; write one rule for each port")]
    Ports(String),
    #[error("port {0} is redirected to itself; use another port after the colon, or drop the rule")]
    Itself(Port),
    #[error("protocol {0:?} is not tcp, udp or both{hint}", hint = did_you_mean(.0, Protocols::NAMES))]
    Protocol(String),
}

impl RuleSpec {
    pub fn new(
        protocol: Protocols,
        address: Option<IpAddr>,
        from: Port,
        to: Port,
    ) -> Result<Self, Fault> {
        if from == to {
            return Err(Fault::Itself(from));
        }
        let address = address.map(usable).transpose()?;
        Ok(Self {
            protocol,
            address,
            from,
            to,
        })
    }

    fn parse(rule: &str) -> Result<Self, Fault> {
        let (ports, protocol) = match rule.rsplit_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (rule, Protocols::default()),
        };
        let (address, ports) = split_address(ports)?;
        let (from, to) = ports.split_once(':').ok_or(Fault::Shape)?;
        Self::new(protocol, address, parse_port(from)?, parse_port(to)?)
    }
}

impl FromStr for RuleSpec {
    type Err = RuleError;

    fn from_str(rule: &str) -> Result<Self, Self::Err> {
        Self::parse(rule).map_err(|fault| RuleError {
            rule: rule.to_owned(),
            fault,
        })
    }
}

impl fmt::Display for RuleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        write!(f, "{}:{}/{}", self.from, self.to, self.protocol)
    }
}

impl Protocols {
    const NAMES: [&str; 3] = ["tcp", "udp", "both"];

    pub fn each(self) -> &'static [Protocol] {
        match self {
            Self::Tcp => &[Protocol::Tcp],
            Self::Udp => &[Protocol::Udp],
            Self::Both => &[Protocol::Tcp, Protocol::Udp],
        }
    }
}

impl From<Protocol> for Protocols {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Udp => Self::Udp,
        }
    }
}

impl FromStr for Protocols {
    type Err = Fault;

    fn from_str(protocol: &str) -> Result<Self, Self::Err> {
        match protocol.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "both" => Ok(Self::Both),
            _ => Err(Fault::Protocol(protocol.to_owned())),
        }
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Both => "both",
        })
    }
}

/// An address as the file gives it: no port, no brackets.
pub fn parse_address(address: &str) -> Result<IpAddr, Fault> {
    match address.parse() {
        Ok(address) => Ok(address),
        Err(_) if address.contains('%') => Err(Fault::Zone(address.to_owned())),
        Err(_) => Err(Fault::Address(address.to_owned())),
    }
}

/// The address, where there is one, and `FROM:TO`.
fn split_address(rule: &str) -> Result<(Option<IpAddr>, &str), Fault> {
    if let Some(rest) = rule.strip_prefix('[') {
        let (address, ports) = rest.split_once("]:").ok_or(Fault::Shape)?;
        return Ok((Some(parse_address(address)?), ports));
    }
    match rule.matches(':').count() {
        0 | 1 => Ok((None, rule)),
        2 => {
            let (address, ports) = rule.split_once(':').ok_or(Fault::Shape)?;
            Ok((Some(parse_address(address)?), ports))
        }
        _ => Err(unbracketed(rule).unwrap_or(Fault::Shape)),
    }
}

fn unbracketed(rule: &str) -> Option<Fault> {
    let (rest, to) = rule.rsplit_once(':')?;
    let (address, from) = rest.rsplit_once(':')?;
    let address = address.parse().ok()?;
    Some(Fault::Unbracketed {
        address,
        rest: format!("{from}:{to}"),
    })
}

fn parse_port(port: &str) -> Result<Port, Fault> {
    if let Some((low, high)) = port.split_once('-')
        && is_number(low)
        && is_number(high)
    {
        return Err(Fault::Ports(port.to_owned()));
    }
    if !is_number(port) {
        return Err(Fault::Port(port.to_owned()));
    }
    port.parse().map_err(|_| Fault::PortRange(port.to_owned()))
}

/// `u16::from_str` takes a sign; a port has none.
fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn usable(address: IpAddr) -> Result<IpAddr, Fault> {
    let address = address.to_canonical();
    if address.is_unspecified() {
        Err(Fault::Unspecified(address))
    } else if address.is_multicast() || address == Ipv4Addr::BROADCAST {
        Err(Fault::NotUnicast(address))
    } else {
        Ok(address)
    }
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
