//! Does netfilter change the source of this host's own connections on their way to lo? The answer leaves from the
//! target port, which is part of no connection that conntrack knows, and nobody turns its address back.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, UdpSocket},
};

use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

use super::{
    ID,
    conditions::{Packet, Way},
    evaluate::{Answer, answer},
    message::{RuleText, accept_first, stopped_by},
    ruleset::{Chain, Table},
};
use crate::{
    check::{Finding, Level, Versions, interface::Links, interfaces, subject},
    config::{Config, Rule},
};

const LOOPBACK: &str = "lo";

/// What masquerading gives to what leaves by lo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masqueraded {
    /// The kernel does not say.
    Unknown,
    /// There is no address to give, and it drops.
    Nothing,
    To(IpAddr),
}

/// The kernel chooses the same for what has no source yet and goes to a group there (`inet_select_addr()` in
/// net/ipv4/devinet.c).
pub fn read() -> Masqueraded {
    let address = source_by_loopback();
    address.map_or(Masqueraded::Unknown, |address| {
        match address.is_unspecified() {
            true => Masqueraded::Nothing,
            false => Masqueraded::To(address),
        }
    })
}

fn source_by_loopback() -> io::Result<IpAddr> {
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 255);
    const DISCARD: u16 = 9;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    setsockopt(&socket, BindToDevice, &OsString::from(LOOPBACK))?;
    // Sends nothing.
    socket.connect((GROUP, DISCARD))?;
    Ok(socket.local_addr()?.ip())
}

/// One for each rule and chain that certainly does. `masqueraded` is what [`read`] found.
pub fn findings(
    config: &Config,
    chains: &[(&Table, &str, &Chain)],
    links: &Links,
    masqueraded: Masqueraded,
    text: &RuleText<'_>,
) -> Vec<Finding> {
    let is_own = |rule: &&Rule| interfaces(config, rule).any(|name| name == LOOPBACK);
    let addresses = links.values().flat_map(|link| &link.addresses).copied();
    let locals: BTreeSet<_> = addresses.filter(is_usable).collect();
    let on_loopback = links.get(LOOPBACK).map_or(&[][..], |link| &link.addresses);
    // IPv6 masquerades by the destination. So does IPv4 among the addresses of lo, but for 127.0.0.1 and its like.
    let stays = |local: &IpAddr| {
        local.is_ipv6()
            || match masqueraded {
                // It cannot give one of those in any case.
                Masqueraded::Unknown => !local.is_loopback(),
                Masqueraded::Nothing => false,
                Masqueraded::To(address) => address == *local,
            }
            || on_loopback.contains(local) && !local.is_loopback()
    };
    let mut findings = Vec::new();
    for rule in config.rules.iter().filter(is_own) {
        let is_its = |local: &&IpAddr| rule.address.is_none_or(|address| address == **local);
        for &(table, name, chain) in chains {
            let mut cause = None;
            let met: Vec<_> = locals
                .iter()
                .filter(is_its)
                .filter(|local| {
                    let packet = own(rule, local, stays(local));
                    let Some(Answer::Shut(found)) = answer(table, name, chain, &packet) else {
                        return false;
                    };
                    cause.get_or_insert(found);
                    true
                })
                .collect();
            if let Some(cause) = cause {
                let stopped = stopped_by(&cause, table, text);
                findings.push(finding(rule, &met, &stopped).help(format!(
                    "accept what leaves by lo before that: {}",
                    accept_first(table, name, "-o lo", "oif lo")
                )));
            }
        }
    }
    findings
}

/// To an address of its own, which it also comes from: those of one network come from the first, but are masqueraded
/// where they answer.
fn own<'a>(rule: &Rule, local: &'a IpAddr, stays: bool) -> Packet<'a> {
    Packet {
        ipv6: local.is_ipv6(),
        protocol: rule.protocol,
        port: rule.from.get(),
        interface: LOOPBACK,
        destination: Some(*local),
        source: Some(*local),
        locals: std::slice::from_ref(local),
        way: Way::Own { stays },
    }
}

/// A link-local address is reached over its own link's name, and masqueraded by nobody.
fn is_usable(address: &IpAddr) -> bool {
    !matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn finding(rule: &Rule, met: &[&IpAddr], cause: &str) -> Finding {
    /// More addresses say no more.
    const MOST: usize = 3;
    let Rule { from, protocol, .. } = rule;
    let mut places: Vec<_> = met.iter().take(MOST).map(ToString::to_string).collect();
    if met.len() > MOST {
        places.push(format!("{} more", met.len() - MOST));
    }
    let places = places.join(", ");
    let message = format!(
        "this host's own connections to {from}/{protocol} of {places} get no answer: {cause} changes their source on the way \
         to lo"
    );
    let forbids_import = |ipv6| {
        met.iter()
            .any(|address| address.is_loopback() && address.is_ipv6() == ipv6)
    };
    Finding {
        forbids_import: Versions {
            ipv4: forbids_import(false),
            ipv6: forbids_import(true),
        },
        ..Finding::new(ID, Level::Warning, subject(rule), message)
    }
}

#[cfg(test)]
#[path = "masquerade_tests.rs"]
mod tests;
