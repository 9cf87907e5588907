//! What is asked of a server on every kind of device.

use std::net::{IpAddr, SocketAddr};

use integration::datapath::{Datapath, Redirected};
use integration::netns::Namespace;
use integration::server::{Connection, Listener};
use integration::topology::{CLIENT, Host, SERVER};
use integration::transfer::transfer;
use integration::udp::{UdpClient, UdpServer};

const MIB: u64 = 1;

/// Larger than every MTU here.
const FRAGMENTED: usize = 4000;

/// Both ends of a tunnel, and of what carries it: the client's and the server's.
pub const INSIDE: [Host; 2] = [Host::new(3, 2), Host::new(3, 1)];
pub const OUTSIDE: [Host; 2] = [CLIENT, SERVER];

/// A client, and a server whose applications listen on 8000 and 5353.
pub struct Traffic {
    pub client: Namespace,
    pub server: Namespace,
    /// Those of the server that are asked.
    addresses: Vec<IpAddr>,
    tcp: Listener,
    udp: UdpServer,
}

impl Traffic {
    pub fn new(client: Namespace, server: Namespace, host: Host) -> Self {
        let tcp = Listener::bind(&server, 8000);
        let udp = UdpServer::bind(&server, 5353);
        Self {
            client,
            server,
            addresses: vec![host.v4, host.v6],
            tcp,
            udp,
        }
    }

    /// Only these of the server's addresses are asked.
    pub fn of(self, addresses: &[IpAddr]) -> Self {
        Self {
            addresses: addresses.to_vec(),
            ..self
        }
    }

    fn each(&self, ports: &[u16]) -> Vec<SocketAddr> {
        let of = |port: &u16| {
            let port = *port;
            self.addresses
                .iter()
                .map(move |address| SocketAddr::new(*address, port))
        };
        ports.iter().flat_map(of).collect()
    }

    #[track_caller]
    pub fn redirect_on(&self, interfaces: &[&str]) -> Redirected {
        Datapath::under_test().redirect_on(&self.server, interfaces, &["80:8000", "53:5353/udp"])
    }

    /// Through the redirected port, with some bulk, and straight to the application.
    #[track_caller]
    pub fn tcp(&self, case: &str) {
        for to in self.each(&[80, 8000]) {
            let case = format!("{to}, {case}");
            println!("{case}");
            let mut connection = Connection::open(&self.client, to, &self.tcp);
            connection.exchange(&case);
            if to.port() == 80 {
                bulk(connection, &case);
            }
        }
    }

    /// The same with datagrams of every size.
    #[track_caller]
    pub fn udp(&self, case: &str) {
        for to in self.each(&[53, 5353]) {
            let case = format!("{to}, {case}");
            println!("{case}");
            let client = self.datagrams(to);
            self.udp.exchange(&client, &case);
            self.udp.echo(&client, FRAGMENTED, &case);
        }
    }

    /// One request and its answer to the redirected port of each family.
    #[track_caller]
    pub fn once(&self, case: &str) {
        for to in self.each(&[80]) {
            Connection::open(&self.client, to, &self.tcp).exchange(case);
        }
        for to in self.each(&[53]) {
            self.udp.echo(&self.datagrams(to), 1, case);
        }
    }

    #[track_caller]
    pub fn assert_no_bad_checksum(&self) {
        for host in [&self.client, &self.server] {
            for protocol in ["Tcp", "Udp"] {
                let errors = host.snmp(protocol, "InCsumErrors");
                assert_eq!(errors, 0, "{protocol} of {}", host.name());
            }
        }
    }

    fn datagrams(&self, to: SocketAddr) -> UdpClient {
        UdpClient::connect(&self.client, 0, to)
    }
}

#[track_caller]
fn bulk(mut connection: Connection, case: &str) {
    let Connection { client, server } = &mut connection;
    let downloaded = transfer(server, client, MIB);
    let uploaded = transfer(client, server, MIB);
    for (sent, received) in [downloaded, uploaded] {
        assert_eq!(sent, received, "{case}");
    }
}
