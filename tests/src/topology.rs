//! The networks that the tests are played on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::netns::{Namespace, Offloads};

pub const CLIENT: Host = Host::new(1, 2);
pub const SERVER: Host = Host::new(1, 1);
/// A second address of the server, where a test gives it one.
pub const OTHER: Host = Host::new(1, 3);
/// Nobody's: whoever crafts packets may come from there without a kernel that answers too.
pub const GHOST: Host = Host::new(1, 66);
pub const THIRD: Host = Host::new(2, 2);
/// The router, to the third host.
pub const FAR_SIDE: Host = Host::new(2, 1);
/// The server, to its containers.
pub const BRIDGE: Host = Host::new(3, 1);
pub const CONTAINER: Host = Host::new(3, 2);
pub const LOOPBACK: Host = Host {
    v4: IpAddr::V4(Ipv4Addr::LOCALHOST),
    v6: IpAddr::V6(Ipv6Addr::LOCALHOST),
};

/// The two addresses of a host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub v4: IpAddr,
    pub v6: IpAddr,
}

impl Host {
    /// In the networks of the tests, which have 24 and 64 bits.
    pub const fn new(network: u8, host: u8) -> Self {
        Self {
            v4: IpAddr::V4(Ipv4Addr::new(10, 77, network, host)),
            v6: IpAddr::V6(Ipv6Addr::new(
                0xfd77,
                network as u16,
                0,
                0,
                0,
                0,
                0,
                host as u16,
            )),
        }
    }

    /// The same port at both addresses.
    pub fn both(self, port: u16) -> [SocketAddr; 2] {
        [self.v4, self.v6].map(|address| SocketAddr::new(address, port))
    }
}

/// A client and a server, each with one `eth0`.
pub struct Lan {
    pub client: Namespace,
    pub server: Namespace,
}

impl Lan {
    pub fn new() -> Self {
        let [client, server] = ["client", "server"].map(Namespace::new);
        let lan = Self { client, server };
        lan.connect();
        lan
    }

    /// Makes both `eth0`, anew where they have been deleted.
    pub fn connect(&self) {
        let Self { client, server } = self;
        client.connect("eth0", server, "eth0");
        number(client, "eth0", CLIENT);
        number(server, "eth0", SERVER);
    }

    /// Switches the offloads of both ends and of the server's loopback.
    pub fn offloads(&self, offloads: Offloads) {
        self.client.offloads("eth0", offloads);
        self.server.offloads("eth0", offloads);
        self.server.offloads("lo", offloads);
    }

    /// Where clients of the server may be, and the addresses they reach it by: another host,
    /// and the server itself over loopback.
    pub fn places(&self) -> [(&Namespace, IpAddr); 6] {
        [
            (&self.client, SERVER.v4),
            (&self.client, SERVER.v6),
            (&self.server, LOOPBACK.v4),
            (&self.server, LOOPBACK.v6),
            (&self.server, SERVER.v4),
            (&self.server, SERVER.v6),
        ]
    }

    /// Neither end has dropped a segment or datagram for its checksum.
    #[track_caller]
    pub fn assert_no_bad_checksum(&self) {
        for (host, protocol) in [&self.client, &self.server]
            .into_iter()
            .flat_map(|host| [(host, "Tcp"), (host, "Udp")])
        {
            assert_eq!(
                host.snmp(protocol, "InCsumErrors"),
                0,
                "{protocol} of {}",
                host.name()
            );
        }
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

/// A client and a third host with a router between: `eth0` toward the client, `eth1` toward
/// the third host. To the client the router is [`SERVER`].
pub struct Routed {
    pub client: Namespace,
    pub router: Namespace,
    pub third: Namespace,
}

impl Routed {
    pub fn new() -> Self {
        let [client, router, third] = ["client", "router", "third"].map(Namespace::new);
        client.connect("eth0", &router, "eth0");
        router.connect("eth1", &third, "eth0");
        number(&client, "eth0", CLIENT);
        number(&router, "eth0", SERVER);
        number(&router, "eth1", FAR_SIDE);
        number(&third, "eth0", THIRD);
        router.sysctl("ipv4.ip_forward", "1");
        router.sysctl("ipv6.conf.all.forwarding", "1");
        lead_through(&client, SERVER);
        lead_through(&third, FAR_SIDE);
        Self {
            client,
            router,
            third,
        }
    }
}

impl Default for Routed {
    fn default() -> Self {
        Self::new()
    }
}

/// Gives an interface both addresses of a host.
pub fn number(namespace: &Namespace, interface: &str, host: Host) {
    namespace.address(interface, &format!("{}/24", host.v4));
    namespace.address(interface, &format!("{}/64", host.v6));
}

/// Gives a host a way to everywhere else.
pub fn lead_through(host: &Namespace, gateway: Host) {
    host.ip(&format!("route add default via {}", gateway.v4));
    host.ip(&format!("-6 route add default via {}", gateway.v6));
}
