mod build;
mod pump;

use std::net::{IpAddr, Ipv6Addr};

use self::pump::Pump;
use super::names::Names;
use super::{Family, Place};
use crate::netns::{Namespace, Offloads};
use crate::topology::{GHOST, Host, LOOPBACK};

pub use crate::topology::OTHER;

/// The networks a scenario can ask for. A new one is a variant here and a function that builds its
/// [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Client and server on one cable; the server also has the address [`OTHER`].
    Lan,
    /// A router between them, whose way to either side takes packets of 1280 bytes at most while
    /// the hosts know of 1500.
    NarrowRouter,
    /// As `Lan`, and a second cable between the same hosts, `eth1` at both ends. Both cables have
    /// the same two link-local addresses, [`LINK_LOCAL`].
    TwoCables,
    /// Client and server on one cable, and behind the server a [`container`](Network::container)
    /// with its own bridge, as Docker has it. The server forwards.
    Container,
    /// The server's only link is `tun0`, whose packets have no link layer; a router leads there.
    Tun,
    /// As `Lan`, and the server's address is on the bridge `br0`, of which its `eth0` is a port.
    /// Redirected is on this one or these of them, and on `lo`.
    Bridge(&'static [&'static str]),
    /// As `Lan`, and the server's address is on the macvlan `mac0` over its `eth0`.
    Macvlan,
}

/// The client's and the server's link-local address in [`Topology::TwoCables`].
pub const LINK_LOCAL: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
];

/// Hosts and names; the client's interface is `eth0`.
pub struct Network {
    pub client: Namespace,
    pub server: Namespace,
    /// The host that the client's cable leads to: the server, or the first router.
    pub neighbour: Namespace,
    pub container: Option<Namespace>,
    pub server_address: Host,
    /// Every address and its name in the transcripts.
    pub names: Vec<(Host, &'static str)>,
    /// Those of the server where packets are redirected.
    pub interfaces: &'static [&'static str],
    gateway: &'static str,
    /// Whose offloads are switched.
    cables: Vec<(Namespace, &'static str)>,
    _pump: Option<Pump>,
}

impl Topology {
    pub fn build(self) -> Network {
        let network = match self {
            Self::Lan => build::lan(),
            Self::NarrowRouter => build::narrow_router(),
            Self::TwoCables => build::two_cables(),
            Self::Container => build::container(),
            Self::Tun => build::tun(),
            Self::Bridge(interfaces) => build::bridge(interfaces),
            Self::Macvlan => build::macvlan(),
        };
        network.lead_ghost_to_client();
        network
    }
}

impl Network {
    pub fn offloads(&self, offloads: Offloads) {
        for (host, interface) in &self.cables {
            host.offloads(interface, offloads);
        }
        self.server.offloads("lo", offloads);
    }

    pub fn client_at(&self, place: Place) -> &Namespace {
        match place {
            Place::Remote => &self.client,
            Place::Loopback | Place::OwnAddress => &self.server,
        }
    }

    pub fn server_at(&self, place: Place, family: Family) -> IpAddr {
        match place {
            Place::Remote | Place::OwnAddress => family.of(self.server_address),
            Place::Loopback => family.of(LOOPBACK),
        }
    }

    /// The neighbour's interface with an address of the client's network.
    pub fn gateway(&self) -> &'static str {
        self.gateway
    }

    /// The client's cable takes what is sent to nobody.
    fn lead_ghost_to_client(&self) {
        let link = self.client.ip("-o link show eth0");
        let mac = link
            .split_once("link/ether ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .expect("a hardware address");
        for address in [GHOST.v4, GHOST.v6] {
            self.neighbour.ip(&format!(
                "neigh replace {address} lladdr {mac} dev {}",
                self.gateway
            ));
        }
    }

    pub(super) fn names(&self) -> Names {
        let names = self
            .names
            .iter()
            .flat_map(|(host, name)| [(host.v4, *name), (host.v6, *name)]);
        Names::new(names.chain([
            (LOOPBACK.v4, "lo"),
            (LOOPBACK.v6, "lo"),
            (GHOST.v4, "ghost"),
            (GHOST.v6, "ghost"),
        ]))
    }

    pub fn has_live_connections(&self) -> bool {
        self.ends().any(Namespace::has_live_connections)
    }

    /// Segments and datagrams that the hosts dropped for their checksum.
    pub fn bad_checksums(&self) -> u64 {
        self.ends()
            .flat_map(|host| ["Tcp", "Udp"].map(|protocol| host.snmp(protocol, "InCsumErrors")))
            .sum()
    }

    fn ends(&self) -> impl Iterator<Item = &Namespace> {
        [&self.client, &self.server]
            .into_iter()
            .chain(&self.container)
    }
}

impl Family {
    pub fn of(self, host: Host) -> IpAddr {
        match self {
            Self::V4 => host.v4,
            Self::V6 => host.v6,
        }
    }
}
