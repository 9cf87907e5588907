use std::net::{IpAddr, Ipv6Addr};

use super::names::Names;
use super::{Family, Place};
use crate::netns::{Namespace, Offloads};
use crate::topology::{CLIENT, GHOST, Host, LOOPBACK, Lan, Routed, SERVER, THIRD};

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
}

/// The client's and the server's link-local address in [`Topology::TwoCables`].
pub const LINK_LOCAL: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
];

/// Hosts and names; the client's and the server's interface is `eth0`.
pub struct Network {
    pub client: Namespace,
    pub server: Namespace,
    /// The host that the client's cable leads to: the server, or the first router.
    pub neighbour: Namespace,
    pub server_address: Host,
    /// Every address and its name in the transcripts.
    pub names: Vec<(Host, &'static str)>,
}

impl Topology {
    pub fn build(self) -> Network {
        let network = match self {
            Self::Lan => lan(),
            Self::NarrowRouter => narrow_router(),
            Self::TwoCables => two_cables(),
        };
        network.lead_ghost_to_client();
        network
    }
}

impl Network {
    pub fn offloads(&self, offloads: Offloads) {
        self.client.offloads("eth0", offloads);
        self.neighbour.offloads("eth0", offloads);
        self.server.offloads("eth0", offloads);
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

    /// The client's cable takes what is sent to nobody.
    fn lead_ghost_to_client(&self) {
        let link = self.client.ip("-o link show eth0");
        let mac = link
            .split_once("link/ether ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .expect("a hardware address");
        for address in [GHOST.v4, GHOST.v6] {
            self.neighbour
                .ip(&format!("neigh replace {address} lladdr {mac} dev eth0"));
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

    /// Segments and datagrams that the hosts dropped for their checksum.
    pub fn bad_checksums(&self) -> u64 {
        [&self.client, &self.server]
            .iter()
            .flat_map(|host| ["Tcp", "Udp"].map(|protocol| host.snmp(protocol, "InCsumErrors")))
            .sum()
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

fn lan() -> Network {
    let lan = Lan::new();
    // The first address of a list stays the one that redirect moves connections to: over IPv6 that
    // is the newest.
    lan.server.address("eth0", &format!("{}/32", OTHER.v4));
    lan.server
        .ip(&format!("address del {}/64 dev eth0", SERVER.v6));
    for host in [OTHER, SERVER] {
        lan.server.address("eth0", &format!("{}/64", host.v6));
    }
    Network {
        neighbour: lan.server.clone(),
        client: lan.client,
        server: lan.server,
        server_address: SERVER,
        names: vec![(CLIENT, "client"), (SERVER, "server"), (OTHER, "other")],
    }
}

fn two_cables() -> Network {
    let network = lan();
    network.client.connect("eth1", &network.server, "eth1");
    let hosts = [&network.client, &network.server];
    for (host, address) in hosts.into_iter().zip(LINK_LOCAL) {
        for interface in ["eth0", "eth1"] {
            host.ip(&format!("address flush dev {interface} scope link"));
            host.address(interface, &format!("{address}/64"));
        }
    }
    network
}

fn narrow_router() -> Network {
    let routed = Routed::new();
    for network in ["10.77.1.0/24 dev eth0", "10.77.2.0/24 dev eth1"] {
        routed
            .router
            .ip(&format!("route replace {network} mtu lock 1280"));
    }
    for network in ["fd77:1::/64 dev eth0", "fd77:2::/64 dev eth1"] {
        routed.router.ip(&format!(
            "-6 route replace {network} metric 1 mtu lock 1280"
        ));
    }
    Network {
        client: routed.client,
        server: routed.third,
        neighbour: routed.router,
        server_address: THIRD,
        names: vec![(CLIENT, "client"), (THIRD, "server"), (SERVER, "router")],
    }
}
