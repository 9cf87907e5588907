//! UDP between two hosts, from connected clients: a reply from another port never arrives.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::netns::Namespace;
use crate::server::{canonical, unspecified_like};
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server on every address of a host, both families.
pub struct UdpServer(UdpSocket);

impl UdpServer {
    pub fn bind(on: &Namespace, port: u16) -> Self {
        Self(bind(
            on,
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
        ))
    }

    /// Datagrams to the server and their echoes, from an empty one to a full packet.
    #[track_caller]
    pub fn exchange(&self, client: &UdpClient, what: &str) {
        for size in UdpClient::SIZES {
            self.echo(client, size, what);
        }
    }

    /// A datagram to the client, without its asking.
    #[track_caller]
    pub fn push(&self, client: &UdpClient, what: &str) {
        let sent = what.as_bytes();
        self.0
            .send_to(sent, client.address())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut buffer = vec![0; sent.len() + 1];
        let length = client
            .0
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{what}: to the client: {error}"));
        assert_eq!(
            &buffer[..length],
            sent,
            "{what}: the client got other bytes"
        );
    }

    /// One datagram and its echo.
    #[track_caller]
    pub fn echo(&self, client: &UdpClient, size: usize, what: &str) {
        let sent = vec![0x5a; size];
        let mut buffer = vec![0; size + 1];
        client
            .0
            .send(&sent)
            .unwrap_or_else(|error| panic!("{what}: send {size}: {error}"));
        let (length, peer) = self
            .0
            .recv_from(&mut buffer)
            .unwrap_or_else(|error| panic!("{what}: {size} bytes to the server: {error}"));
        assert_eq!(buffer[..length], sent, "{what}: the server got other bytes");
        assert_eq!(
            canonical(peer),
            client.address(),
            "{what}: the server sees another client"
        );
        self.0
            .send_to(&sent, peer)
            .unwrap_or_else(|error| panic!("{what}: answer: {error}"));
        let length = client
            .0
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{what}: {size} bytes to the client: {error}"));
        assert_eq!(buffer[..length], sent, "{what}: the client got other bytes");
    }
}

pub struct UdpClient(UdpSocket);

impl UdpClient {
    /// The largest fits an MTU of 1500 over either family.
    const SIZES: [usize; 5] = [0, 1, 2, 512, 1452];

    /// Connects from a host. `port` 0 lets the kernel choose the source port.
    pub fn connect(from: &Namespace, port: u16, to: SocketAddr) -> Self {
        let socket = bind(from, SocketAddr::new(unspecified_like(to), port));
        socket
            .connect(to)
            .unwrap_or_else(|error| panic!("connect to {to}: {error}"));
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("the client's address")
    }
}

fn bind(on: &Namespace, address: SocketAddr) -> UdpSocket {
    let socket = wait::until_bound(&format!("cannot bind {address}/udp"), || {
        on.enter(|| UdpSocket::bind(address))
    });
    socket
        .set_read_timeout(Some(TIMEOUT))
        .expect("a read timeout");
    socket
}
