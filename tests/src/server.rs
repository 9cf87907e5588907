//! TCP connections of which the test holds both ends.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::netns::Namespace;
use crate::topology::{LOOPBACK, Lan, SERVER};
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A listener on every address of a host, both families.
pub struct Listener(TcpListener);

impl Listener {
    pub fn bind(on: &Namespace, port: u16) -> Self {
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let listener = wait::until_bound(&format!("cannot listen on {port}"), || {
            on.enter(|| TcpListener::bind(address))
        });
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        Self(listener)
    }

    #[track_caller]
    pub fn accept(&self) -> TcpStream {
        wait::until_some("a connection to accept", || match self.0.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        })
    }

    /// True when nobody has connected since the last [`accept`](Self::accept).
    pub fn is_idle(&self) -> bool {
        matches!(self.0.accept(), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A live connection, seen from both ends.
#[derive(Debug)]
pub struct Connection {
    pub client: TcpStream,
    pub server: TcpStream,
}

impl Connection {
    /// Connects to `to`, where `listener` must get it with the client's own address.
    #[track_caller]
    pub fn open(from: &Namespace, to: SocketAddr, listener: &Listener) -> Self {
        Self::open_from(from, 0, to, listener)
    }

    /// The same with a chosen source port; 0 lets the kernel choose.
    #[track_caller]
    pub fn open_from(from: &Namespace, port: u16, to: SocketAddr, listener: &Listener) -> Self {
        let client =
            connect(from, port, to).unwrap_or_else(|error| panic!("connect to {to}: {error}"));
        let connection = Self {
            client,
            server: listener.accept(),
        };
        for stream in [&connection.client, &connection.server] {
            stream
                .set_read_timeout(Some(TIMEOUT))
                .expect("a read timeout");
            stream
                .set_write_timeout(Some(TIMEOUT))
                .expect("a write timeout");
            stream.set_nodelay(true).expect("no delay");
        }
        assert_eq!(
            connection
                .server
                .peer_addr()
                .map(canonical)
                .expect("the server's peer"),
            connection
                .client
                .local_addr()
                .map(canonical)
                .expect("the client's address"),
            "the server sees another client than the one that connected to {to}"
        );
        connection
    }

    /// To port 80 from another host and from the server itself, over both families.
    #[track_caller]
    pub fn open_everywhere(lan: &Lan, listener: &Listener) -> Vec<Self> {
        let from_client = SERVER.both(80).map(|to| (&lan.client, to));
        let from_here = LOOPBACK.both(80).map(|to| (&lan.server, to));
        let mut live: Vec<_> = [from_client, from_here]
            .concat()
            .into_iter()
            .map(|(from, to)| Self::open(from, to, listener))
            .collect();
        live.iter_mut().for_each(|each| each.exchange("before"));
        live
    }

    /// The port that the server's socket is bound to.
    pub fn server_port(&self) -> u16 {
        self.server
            .local_addr()
            .expect("the server's address")
            .port()
    }

    /// Moves data in both directions, several segments each.
    #[track_caller]
    pub fn exchange(&mut self, what: &str) {
        for round in 0..3u8 {
            deliver(
                &mut self.client,
                &mut self.server,
                round,
                &format!("{what}: to the server"),
            );
            self.push(what);
        }
    }

    /// The server speaks first.
    #[track_caller]
    pub fn push(&mut self, what: &str) {
        deliver(
            &mut self.server,
            &mut self.client,
            7,
            &format!("{what}: to the client"),
        );
    }
}

/// Connects from a host. `port` 0 lets the kernel choose the source port.
pub fn connect(from: &Namespace, port: u16, to: SocketAddr) -> io::Result<TcpStream> {
    let socket =
        from.enter(|| Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP)))?;
    if port != 0 {
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::new(unspecified_like(to), port).into())?;
    }
    socket.connect_timeout(&to.into(), TIMEOUT)?;
    Ok(socket.into())
}

/// True when the host answers at once that nobody listens.
pub fn is_refused(from: &Namespace, to: SocketAddr) -> bool {
    matches!(connect(from, 0, to), Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Writes an IPv4-mapped address as IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

pub fn unspecified_like(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// Small enough for the socket buffers: writer and reader share one thread.
#[track_caller]
fn deliver(from: &mut TcpStream, to: &mut TcpStream, seed: u8, what: &str) {
    let sent: Vec<u8> = (0..8000u32)
        .map(|index| (index % 251) as u8 ^ seed)
        .collect();
    let mut received = vec![0; sent.len()];
    from.write_all(&sent)
        .unwrap_or_else(|error| panic!("{what}: write: {error}"));
    to.read_exact(&mut received)
        .unwrap_or_else(|error| panic!("{what}: read: {error}"));
    assert!(received == sent, "{what}: other bytes arrived");
}
