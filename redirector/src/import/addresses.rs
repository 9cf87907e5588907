//! Where packets for this host may go: its addresses, by interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

use super::Families;
use crate::config::Rule;

#[derive(Debug, Default)]
pub struct Addresses {
    ip: Vec<(String, IpAddr)>,
    ethernet: Vec<(String, [u8; 6])>,
}

impl Addresses {
    pub fn read() -> nix::Result<Self> {
        let mut addresses = Self::default();
        for entry in getifaddrs()? {
            let name = entry.interface_name;
            let Some(address) = entry.address else {
                continue;
            };
            if let Some(ethernet) = address.as_link_addr().and_then(|link| link.addr()) {
                addresses.ethernet.push((name, ethernet));
            } else if let Some(v4) = address.as_sockaddr_in() {
                addresses.ip.push((name, v4.ip().into()));
            } else if let Some(v6) = address.as_sockaddr_in6()
                && !v6.ip().is_unicast_link_local()
            {
                addresses.ip.push((name, v6.ip().into()));
            }
        }
        Ok(addresses)
    }

    /// `None` for an interface without such.
    pub fn ethernet(&self, interface: &str) -> Option<[u8; 6]> {
        let found = self.ethernet.iter().find(|(name, _)| name == interface);
        found.map(|(_, address)| *address)
    }

    pub fn are_of_this_host(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.ip.iter().any(|(_, own)| *own == address)
    }

    /// The rule's own address, or the first of each family that the interface has.
    pub fn reached_by<'a>(
        &'a self,
        rule: &'a Rule,
        families: Families,
        interface: &'a str,
    ) -> impl Iterator<Item = IpAddr> + 'a {
        let first = move |is_it: fn(&IpAddr) -> bool| {
            let mut own = self.ip.iter().filter(|(name, _)| name == interface);
            own.find(|(_, address)| is_it(address))
                .map(|(_, address)| *address)
        };
        let found = match rule.address {
            Some(address) => [Some(address), None],
            None => [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)],
        };
        found
            .into_iter()
            .flatten()
            .filter(move |address| families.has(address))
    }

    /// The same on loopback.
    pub fn loopback(rule: &Rule, families: Families) -> impl Iterator<Item = IpAddr> {
        let found = match rule.address {
            Some(address) => [Some(address), None],
            None => [
                Some(Ipv4Addr::LOCALHOST.into()),
                Some(Ipv6Addr::LOCALHOST.into()),
            ],
        };
        found
            .into_iter()
            .flatten()
            .filter(move |address| families.has(address))
    }
}
