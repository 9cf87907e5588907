use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::time::Duration;

use super::log::{Notes, digest, errno};
use crate::netns::Namespace;
use crate::server::unspecified_like;
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A UDP socket: a client's is connected, a server's answers whom it heard last.
pub struct UdpPeer {
    socket: UdpSocket,
    name: String,
    is_server: bool,
    heard: Mutex<Option<SocketAddr>>,
    notes: Notes,
}

impl UdpPeer {
    pub(super) fn server(host: &Namespace, port: u16, notes: Notes) -> Self {
        let socket = bind(host, IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        Self::new(socket, format!("port {port}"), true, notes)
    }

    pub(super) fn client(host: &Namespace, source: u16, to: SocketAddr, notes: Notes) -> Self {
        let socket = bind(host, unspecified_like(to), source);
        socket
            .connect(to)
            .unwrap_or_else(|error| panic!("connect to {to}: {error}"));
        let local = socket.local_addr().expect("an address");
        let name = format!(
            "{} > {}",
            notes.names.source(local),
            notes.names.address(to)
        );
        Self::new(socket, name, false, notes)
    }

    pub(super) fn client_to_many(
        host: &Namespace,
        source: u16,
        like: SocketAddr,
        notes: Notes,
    ) -> Self {
        let socket = bind(host, unspecified_like(like), source);
        Self::new(socket, format!("from {source}"), false, notes)
    }

    fn new(socket: UdpSocket, name: String, is_server: bool, notes: Notes) -> Self {
        socket
            .set_read_timeout(Some(TIMEOUT))
            .expect("a read timeout");
        Self {
            socket,
            name,
            is_server,
            heard: Mutex::default(),
            notes,
        }
    }

    /// To the server, or to whom a server has heard last.
    #[track_caller]
    pub fn send(&self, bytes: &[u8]) -> &Self {
        if let Err(error) = self.try_send(bytes) {
            panic!("{}: send: {error}", self.name);
        }
        self
    }

    /// Sends what may fail.
    ///
    /// # Errors
    /// Those of `send`, noted too.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        let heard = *self.heard.lock().expect("the peer");
        let outcome = match heard {
            Some(peer) => self.socket.send_to(bytes, peer),
            None => self.socket.send(bytes),
        };
        let to = heard.map_or_else(String::new, |to| {
            format!(" to {}", self.notes.names.peer(to))
        });
        self.note(match &outcome {
            Ok(_) => format!("sent {}{to}", digest(bytes)),
            Err(error) => format!("send{to} {}", errno(error)),
        });
        outcome.map(drop)
    }

    /// To `to`, without answering anybody.
    #[track_caller]
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> &Self {
        self.socket
            .send_to(bytes, to)
            .unwrap_or_else(|error| panic!("{}: send: {error}", self.name));
        let to = self.notes.names.address(to);
        self.note(format!("sent {} to {to}", digest(bytes)));
        self
    }

    /// Receives exactly this datagram from there.
    #[track_caller]
    pub fn expect_from(&self, bytes: &[u8], from: SocketAddr) -> &Self {
        self.expect(bytes);
        assert_eq!(
            *self.heard.lock().expect("the peer"),
            Some(from),
            "{}",
            self.name
        );
        self
    }

    /// Receives exactly this datagram.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8]) -> &Self {
        match self.receive() {
            Ok(received) => assert!(received == bytes, "{}: another datagram", self.name),
            Err(error) => panic!("{}: receive: {error}", self.name),
        }
        self
    }

    /// The socket has this error waiting, e.g. `ECONNREFUSED` after an ICMP error.
    #[track_caller]
    pub fn expect_error(&self, name: &str) -> &Self {
        let outcome = self.receive().map_err(|error| errno(&error));
        assert_eq!(
            outcome.as_deref().err(),
            Some(&name.to_owned()),
            "{}",
            self.name
        );
        self
    }

    /// Nothing arrives within `patience`.
    #[track_caller]
    pub fn expect_silence(&self, patience: Duration) -> &Self {
        let limit = |limit| self.socket.set_read_timeout(Some(limit)).expect("a limit");
        limit(patience);
        self.expect_error("EAGAIN");
        limit(TIMEOUT);
        self
    }

    /// Receives a datagram and notes it.
    ///
    /// # Errors
    /// Those of `recv`, noted too.
    pub fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 16];
        let (length, peer) = self
            .socket
            .recv_from(&mut buffer)
            .inspect_err(|error| self.note(format!("receive {}", errno(error))))?;
        buffer.truncate(length);
        let mut from = String::new();
        if self.socket.peer_addr().is_err() {
            *self.heard.lock().expect("the peer") = Some(peer);
            from = format!(
                " from {}",
                match self.is_server {
                    true => self.notes.names.peer(peer),
                    false => self.notes.names.address(peer),
                }
            );
        }
        self.note(format!("received {}{from}", digest(&buffer)));
        Ok(buffer)
    }

    pub fn note(&self, what: impl AsRef<str>) {
        self.notes
            .log
            .note(format!("{}: {}", self.name, what.as_ref()));
    }

    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

fn bind(host: &Namespace, address: IpAddr, port: u16) -> UdpSocket {
    wait::until_bound(&format!("cannot bind {address} port {port}/udp"), || {
        host.enter(|| UdpSocket::bind((address, port)))
    })
}
