//! Is each interface there, and up?

use std::{collections::HashMap, net::IpAddr};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

use super::{Error, Finding, Level};
use crate::{config::Config, kernel};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Switched on by the administrator.
    pub up: bool,
    /// The cable, the peer or the tunnel is there too.
    pub running: bool,
    /// Reachable by IPv6 from beyond its own link.
    pub routable_ipv6: bool,
    pub addresses: Vec<IpAddr>,
    /// The bridge that it is a port of.
    pub bridge: Option<String>,
}

pub type Links = HashMap<String, Link>;

/// From netlink and not from /sys/class/net, which shows the namespace it was mounted in.
pub fn read() -> Result<Links, Error> {
    let mut links = Links::new();
    for entry in getifaddrs().map_err(Error::Interfaces)? {
        let storage = entry.address.as_ref();
        let ipv4 = storage.and_then(|address| address.as_sockaddr_in());
        let address = storage.and_then(|a| a.as_sockaddr_in6()).map(|a| a.ip());
        let link = links.entry(entry.interface_name).or_default();
        link.up = entry.flags.contains(InterfaceFlags::IFF_UP);
        link.running = entry.flags.contains(InterfaceFlags::IFF_RUNNING);
        let own = address.map(IpAddr::V6);
        link.addresses
            .extend(own.or(ipv4.map(|ipv4| IpAddr::V4(ipv4.ip()))));
        link.routable_ipv6 |=
            address.is_some_and(|a| !a.is_unicast_link_local() && !IpAddr::V6(a).is_loopback());
    }
    for (port, bridge) in kernel::bridges() {
        if let Some(link) = links.get_mut(&port) {
            link.bridge = Some(bridge);
        }
    }
    Ok(links)
}

pub fn findings(config: &Config, links: &Links) -> Vec<Finding> {
    let names = config.interfaces.iter().map(|interface| &*interface.name);
    names
        .clone()
        .map(|name| {
            let link = links.get(name);
            finding(name, link, |other| names.clone().any(|name| name == other))
        })
        .collect()
}

/// `is_chosen` tells what else is.
fn finding(name: &str, link: Option<&Link>, is_chosen: impl Fn(&str) -> bool) -> Finding {
    let new =
        |level, message: &str| Finding::new("interface", level, name, format!("{name}{message}"));
    match link {
        None => new(Level::Failure, " does not exist").help("list those that exist: ip link"),
        Some(Link { up: false, .. }) => new(Level::Warning, " is down: no traffic arrives there")
            .help(format!("ip link set {name} up")),
        Some(Link { running: false, .. }) => new(
            Level::Warning,
            " is up but has no carrier: no traffic arrives there",
        )
        .help("look at the cable, the peer or the switch port"),
        Some(Link {
            bridge: Some(bridge),
            ..
        }) if !is_chosen(bridge) => new(
            Level::Warning,
            &format!(
                " is a port of bridge {bridge}: what is sent to the bridge's own MAC address may not be \
                 redirected, and broadcasts that it carries to others are"
            ),
        )
        .help(format!("redirect on the bridge: -i {bridge}")),
        Some(_) => new(Level::Ok, " is up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_carries_nothing_is_a_warning() {
        let link = |up, running| Link {
            up,
            running,
            ..Link::default()
        };
        for (link, level) in [
            (Some(link(true, true)), Level::Ok),
            (Some(link(true, false)), Level::Warning),
            (Some(link(false, false)), Level::Warning),
            (None, Level::Failure),
        ] {
            assert_eq!(finding("eth0", link.as_ref(), |_| false).level, level);
        }
    }

    #[test]
    fn a_bridge_is_better_than_its_port() {
        let link = Link {
            up: true,
            running: true,
            bridge: Some("br0".to_owned()),
            ..Link::default()
        };
        let alone = finding("eth0", Some(&link), |_| false);
        assert_eq!(alone.level, Level::Warning);
        assert!(alone.to_string().ends_with("-i br0"), "{alone}");
        let beside = finding("eth0", Some(&link), |name| name == "br0");
        assert_eq!(beside.level, Level::Ok);
    }

    #[test]
    fn loopback_is_always_listed() {
        assert!(read().unwrap().contains_key("lo"));
    }
}
