use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

/// `net.ipv4.ip_local_port_range` as it is by default.
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// Addresses as `server:80` and `client:P1`, so that two runs agree.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    hosts: BTreeMap<IpAddr, &'static str>,
    ephemeral: BTreeMap<u16, usize>,
    sources: Vec<SocketAddr>,
}

impl Names {
    pub fn new(hosts: impl IntoIterator<Item = (IpAddr, &'static str)>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            hosts: hosts.into_iter().collect(),
            ..Inner::default()
        })))
    }

    pub fn host(&self, address: IpAddr) -> String {
        let inner = self.0.lock().expect("names");
        inner
            .hosts
            .get(&address.to_canonical())
            .map_or_else(|| address.to_string(), ToString::to_string)
    }

    /// Ephemeral ports are numbered in the order of their first appearance.
    pub fn address(&self, address: SocketAddr) -> String {
        let host = self.host(address.ip());
        if !EPHEMERAL.contains(&address.port()) {
            return format!("{host}:{}", address.port());
        }
        let mut inner = self.0.lock().expect("names");
        let next = inner.ephemeral.len() + 1;
        let number = inner.ephemeral.entry(address.port()).or_insert(next);
        format!("{host}:P{number}")
    }

    /// A client's own address, which servers are expected to see.
    pub fn source(&self, address: SocketAddr) -> String {
        let address = crate::server::canonical(address);
        self.0.lock().expect("names").sources.push(address);
        self.address(address)
    }

    /// A client as a server sees it: `client:moved` when no client has that port.
    pub fn peer(&self, address: SocketAddr) -> String {
        let address = crate::server::canonical(address);
        if self.0.lock().expect("names").sources.contains(&address) {
            self.address(address)
        } else {
            format!("{}:moved", self.host(address.ip()))
        }
    }
}
