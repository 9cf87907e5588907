//! What one rule of netfilter is as rules of ours, or why it is none.

use std::net::IpAddr;

use super::model::{Conditions, Destination, Families, Hook, Ports};
use crate::config::{Port, Protocol, RuleSpec, Selector};

pub const EVERY_INTERFACE: &str = "*";
pub const LOOPBACK: &str = "lo";

/// A line of a range becomes so many rules at most.
const MAX_PORTS: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub protocol: Protocol,
    pub address: Option<IpAddr>,
    pub from: Port,
    pub to: Port,
    /// Names and patterns; at least one.
    pub interfaces: Vec<String>,
    pub families: Families,
    /// It is about this host's own connections.
    pub own: bool,
    /// In words, what it takes beyond the rule.
    pub widened: Option<String>,
}

impl Entry {
    pub fn spec(&self) -> RuleSpec {
        RuleSpec {
            protocol: self.protocol.into(),
            address: self.address,
            from: self.from,
            to: self.to,
        }
    }

    /// Which of two rules wins for a packet that both match.
    pub fn rank(&self) -> u8 {
        let named = !self.interfaces.iter().any(|name| name == EVERY_INTERFACE);
        2 * u8::from(self.address.is_some()) + u8::from(named)
    }
}

/// The entries of a redirect to `to` under these conditions.
pub fn entries(conditions: &Conditions, hook: Hook, to: u16) -> Result<Vec<Entry>, String> {
    if !conditions.others.is_empty() {
        return Err(format!(
            "it is for some packets only ({}), which a rule cannot say",
            conditions.others.join(" ")
        ));
    }
    if conditions.protocols.is_empty() {
        return Err("it names neither tcp nor udp".into());
    }
    let sources = sources(conditions.ports.as_deref())?;
    let place = match hook {
        Hook::Prerouting => incoming(conditions)?,
        Hook::Output => outgoing(conditions)?,
        Hook::Other => return Err("redirects there have no effect".into()),
    };
    let to = Port::new(to).ok_or("its target is port 0")?;
    let mut entries = Vec::new();
    for &protocol in &conditions.protocols {
        for &from in &sources {
            let spec = RuleSpec::new(protocol.into(), place.address, from, to)
                .map_err(|fault| fault.to_string())?;
            entries.push(Entry {
                protocol,
                address: spec.address,
                from,
                to,
                interfaces: place.interfaces.clone(),
                families: spec
                    .address
                    .as_ref()
                    .map_or(conditions.families, Families::of_address),
                own: hook == Hook::Output,
                widened: place.widened.clone(),
            });
        }
    }
    Ok(entries)
}

struct Place {
    address: Option<IpAddr>,
    interfaces: Vec<String>,
    widened: Option<String>,
}

fn sources(ports: Option<&[Ports]>) -> Result<Vec<Port>, String> {
    let Some(ports) = ports else {
        return Err("it is for every port; a rule has one".into());
    };
    let count: usize = ports.iter().map(|range| range.len()).sum();
    if count > MAX_PORTS {
        return Err(format!("it is for {count} ports; a rule has one"));
    }
    let sources: Vec<_> = ports
        .iter()
        .cloned()
        .flatten()
        .filter_map(Port::new)
        .collect();
    match sources.is_empty() {
        true => Err("it is for no port from 1 to 65535".into()),
        false => Ok(sources),
    }
}

fn incoming(conditions: &Conditions) -> Result<Place, String> {
    if !conditions.outbound.is_empty() {
        return Err("what comes in has no interface to leave by".into());
    }
    for name in &conditions.inbound {
        name.parse::<Selector>()
            .map_err(|error| error.to_string())?;
    }
    let address = match conditions.destination {
        Destination::Any | Destination::Local => None,
        Destination::Network(address, bits) => Some(host(address, bits)?),
    };
    let mut interfaces = conditions.inbound.clone();
    if interfaces.is_empty() {
        interfaces.push(EVERY_INTERFACE.into());
    }
    Ok(Place {
        address,
        interfaces,
        widened: None,
    })
}

/// Only what stays on this host passes an interface where we are: `lo`.
fn outgoing(conditions: &Conditions) -> Result<Place, String> {
    let is_loopback = conditions.outbound == [LOOPBACK];
    if !conditions.outbound.is_empty() && !is_loopback {
        return Err(format!(
            "it is about connections of this host that leave by {}",
            conditions.outbound.join(", ")
        ));
    }
    let (address, widened) = match conditions.destination {
        Destination::Any if !is_loopback => {
            return Err(
                "it also takes this host's connections to other hosts, which are never redirected"
                    .into(),
            );
        }
        Destination::Any | Destination::Local => (None, None),
        Destination::Network(address, bits)
            if address.is_loopback() && host(address, bits).is_err() =>
        {
            (
                None,
                Some(format!(
                    "every address of this host, not {address}/{bits} only"
                )),
            )
        }
        Destination::Network(address, bits) => (Some(host(address, bits)?), None),
    };
    Ok(Place {
        address,
        interfaces: vec![LOOPBACK.into()],
        widened,
    })
}

fn host(address: IpAddr, bits: u8) -> Result<IpAddr, String> {
    let whole = if address.is_ipv4() { 32 } else { 128 };
    match bits == whole {
        true => Ok(address),
        false => Err(format!(
            "it is for the addresses of {address}/{bits}; a rule has one, or every address"
        )),
    }
}
