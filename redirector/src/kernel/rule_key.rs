//! Keys of the map `RULES`, and what they say of a rule.

use std::net::{IpAddr, Ipv6Addr};

use redirector_common::abi::{self, ANY_ADDRESS, RuleKey};

use crate::config::{Interface, Port, Protocol, Rule};

pub fn keys(rule: &Rule) -> Vec<RuleKey> {
    let key = RuleKey {
        address: rule.address.map_or(ANY_ADDRESS, address),
        ifindex: 0,
        port: abi::Port::new(rule.from.get()),
        protocol: match rule.protocol {
            Protocol::Tcp => abi::Protocol::TCP,
            Protocol::Udp => abi::Protocol::UDP,
        }
        .number() as u8,
        slot: 0,
    };
    if rule.interfaces.is_empty() {
        return vec![key];
    }
    let ifindex = |interface: &Interface| interface.index;
    rule.interfaces
        .iter()
        .map(|interface| RuleKey {
            ifindex: ifindex(interface),
            ..key
        })
        .collect()
}

/// The key of a rule of a single interface, whatever that is.
pub fn scope(key: &RuleKey) -> Option<RuleKey> {
    (key.ifindex != 0).then_some(RuleKey { ifindex: 0, ..*key })
}

/// Whether packets that met `old` meet `new` where both are in force.
pub fn overtakes(new: &RuleKey, old: &RuleKey) -> bool {
    let rank = |key: &RuleKey| (key.address != ANY_ADDRESS, key.ifindex != 0);
    let address = old.address == ANY_ADDRESS || old.address == new.address;
    let interface = old.ifindex == 0 || new.ifindex == 0 || old.ifindex == new.ifindex;
    address && interface && rank(new) > rank(old)
}

pub fn protocol_of(key: &RuleKey) -> abi::Protocol {
    abi::Protocol::from_number(u32::from(key.protocol))
}

pub fn address(address: IpAddr) -> abi::Address {
    match address {
        IpAddr::V4(address) => abi::Address::ipv4(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => abi::Address::ipv6(address.octets()),
    }
}

pub fn address_of(address: abi::Address) -> Option<IpAddr> {
    (address != ANY_ADDRESS).then(|| Ipv6Addr::from(address.octets()).to_canonical())
}

pub fn port(port: abi::Port) -> Option<Port> {
    Port::new(port.get())
}

/// The name the interface had at load, or its index where that is all we know.
pub fn interface(index: u32, interfaces: &[Interface]) -> Interface {
    interfaces
        .iter()
        .find(|interface| interface.index == index)
        .cloned()
        .unwrap_or_else(|| Interface {
            name: format!("if{index}"),
            index,
        })
}
