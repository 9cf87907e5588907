//! Facts about this host's network that the plan and the checks need.

use std::{fs, io};

use nix::net::if_::if_nameindex;

use crate::config::{Interface, Selector};

// Not /proc/net: that is the namespace of the process's first thread, whichever thread asks.
const IPV4_ROUTES: &str = "/proc/thread-self/net/route";
const IPV6_ROUTES: &str = "/proc/thread-self/net/ipv6_route";

/// The calling thread's network namespace.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// In the order of their indices.
    pub interfaces: Vec<Interface>,
    /// The interface of the IPv4 default route, else of the IPv6 one.
    pub default_route: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot list the network interfaces")]
    Interfaces(#[source] nix::Error),
    #[error("cannot read {path}")]
    Routes {
        path: &'static str,
        source: io::Error,
    },
}

impl Network {
    pub fn read() -> Result<Self, Error> {
        let listed = if_nameindex().map_err(Error::Interfaces)?;
        let mut interfaces: Vec<_> = listed
            .iter()
            .map(|entry| Interface {
                name: entry.name().to_string_lossy().into_owned(),
                index: entry.index(),
            })
            .collect();
        interfaces.sort_by_key(|interface| interface.index);
        let default_route = match ipv4_default(&read_routes(IPV4_ROUTES)?) {
            None => ipv6_default(&read_routes(IPV6_ROUTES)?),
            found => found,
        };
        Ok(Self {
            interfaces,
            default_route,
        })
    }

    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)
    }

    pub fn matching(&self, selector: &Selector) -> Vec<&Interface> {
        let interfaces = self.interfaces.iter();
        interfaces
            .filter(|interface| selector.matches(&interface.name))
            .collect()
    }

    /// As if these interfaces did not exist.
    pub fn without(&self, refused: impl Fn(&Interface) -> bool) -> Self {
        let mut network = self.clone();
        network.interfaces.retain(|interface| !refused(interface));
        network
    }
}

/// The file is missing where the kernel has no such protocol.
fn read_routes(path: &'static str) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(Error::Routes { path, source }),
        Ok(routes) => Ok(routes),
    }
}

/// net/ipv4/fib_trie.c, `fib_route_seq_show`: Iface Destination Gateway Flags RefCnt Use Metric Mask ...
fn ipv4_default(routes: &str) -> Option<String> {
    lowest_metric(routes.lines().skip(1).filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [interface, destination, _, flags, _, _, metric, mask, ..] = columns[..] else {
            return None;
        };
        let usable = is_usable(flags) && destination == "00000000" && mask == "00000000";
        usable.then_some((metric.parse().ok()?, interface))
    }))
}

/// net/ipv6/route.c, `rt6_info_route`: destination length source length gateway metric refcnt use flags
/// interface, numbers in hexadecimal.
fn ipv6_default(routes: &str) -> Option<String> {
    lowest_metric(routes.lines().filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [
            _,
            length,
            _,
            source_length,
            _,
            metric,
            _,
            _,
            flags,
            interface,
        ] = columns[..]
        else {
            return None;
        };
        let usable = is_usable(flags) && length == "00" && source_length == "00";
        usable.then_some((u32::from_str_radix(metric, 16).ok()?, interface))
    }))
}

/// The kernel keeps an unreachable default route on `lo` where IPv6 has none.
fn is_usable(flags: &str) -> bool {
    const RTF_UP: u32 = 0x1;
    const RTF_REJECT: u32 = 0x200;
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (RTF_UP | RTF_REJECT) == RTF_UP)
}

/// The first of several with the same metric, which is the one the kernel takes.
fn lowest_metric<'a>(routes: impl Iterator<Item = (u32, &'a str)>) -> Option<String> {
    routes
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, interface)| interface.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_default_route_of_lowest_metric() {
        let routes = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
enp3s0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0
enp3s0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
";
        assert_eq!(ipv4_default(routes).as_deref(), Some("enp3s0"));
        assert_eq!(ipv4_default(""), None);
    }

    #[test]
    fn ipv6_default_route_is_not_the_unreachable_one() {
        let zero = "0".repeat(32);
        let unreachable =
            format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        assert_eq!(ipv6_default(&unreachable), None);
        let gateway = format!(
            "{zero} 00 {zero} 00 fe80{} 00000400 00000001 00000000 00450003     eth1\n",
            "0".repeat(28)
        );
        assert_eq!(
            ipv6_default(&(unreachable + &gateway)).as_deref(),
            Some("eth1")
        );
    }

    #[test]
    fn reads_this_host() {
        let network = Network::read().unwrap();
        assert!(network.interface("lo").is_some_and(|lo| lo.index > 0));
    }
}
