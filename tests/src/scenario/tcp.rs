use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::log::{Notes, digest, errno};
use crate::netns::Namespace;
use crate::server::{canonical, unspecified_like};
use crate::wait;

const TIMEOUT: Duration = Duration::from_secs(5);
/// A refusal that took longer was a timeout or a retransmission.
const AT_ONCE: Duration = Duration::from_millis(900);

/// A listener.
pub struct Server {
    listener: TcpListener,
    notes: Notes,
}

impl Server {
    pub(super) fn bind(host: &Namespace, port: u16, notes: Notes) -> Self {
        let address = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        let listener = wait::until_bound(&format!("cannot listen on {port}"), || {
            host.enter(|| TcpListener::bind(address))
        });
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        Self { listener, notes }
    }

    #[track_caller]
    pub fn accept(&self) -> Peer {
        let stream = wait::until_some("a connection to accept", || self.try_accept());
        let local = stream.local_addr().map(canonical).expect("an address");
        let peer = stream.peer_addr().expect("the peer's address");
        let name = format!(
            "{} < {}",
            self.notes.names.address(local),
            self.notes.names.peer(peer)
        );
        let peer = Peer::new(stream, name, self.notes.clone());
        peer.note("accepted");
        peer
    }

    /// Nobody has connected since the last [`accept`](Self::accept).
    #[track_caller]
    pub fn expect_nobody(&self) -> &Self {
        assert!(self.try_accept().is_none(), "somebody connected");
        self
    }

    fn try_accept(&self) -> Option<TcpStream> {
        match self.listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        }
    }
}

/// A connection that is about to be made.
pub struct Dial<'a> {
    host: &'a Namespace,
    to: SocketAddr,
    source: u16,
    patience: Duration,
    socket: Socket,
    notes: Notes,
}

impl<'a> Dial<'a> {
    pub(super) fn new(host: &'a Namespace, to: SocketAddr, notes: Notes) -> Self {
        let socket = host
            .enter(|| Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP)))
            .expect("a socket");
        Self {
            host,
            to,
            source: 0,
            patience: TIMEOUT,
            socket,
            notes,
        }
    }

    /// From a chosen source port, which may be in TIME-WAIT.
    pub fn from(self, source: u16) -> Self {
        Self { source, ..self }
    }

    /// Gives up after this long instead of five seconds.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sets socket options before the connection.
    pub fn with(self, set: impl FnOnce(&Socket) -> io::Result<()>) -> Self {
        set(&self.socket).expect("a socket option");
        self
    }

    #[track_caller]
    pub fn connect(self) -> Peer {
        let to = self.to;
        match self.outcome() {
            Ok(peer) => peer,
            Err(error) => panic!("connect to {to}: {error}"),
        }
    }

    /// Refused, and at once.
    #[track_caller]
    pub fn refused(self) {
        let to = self.to;
        let start = Instant::now();
        let error = self.outcome().err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::ConnectionRefused), "{to}");
        assert!(start.elapsed() < AT_ONCE, "{to}: refused, but not at once");
    }

    /// Notes what comes of it.
    ///
    /// # Errors
    /// Those of `connect`; time out after [`patience`](Self::patience).
    pub fn outcome(self) -> io::Result<Peer> {
        let names = &self.notes.names;
        let mut from = String::new();
        if self.source != 0 {
            let local = SocketAddr::new(unspecified_like(self.to), self.source);
            self.socket.set_reuse_address(true)?;
            self.host.enter(|| self.socket.bind(&local.into()))?;
            from = format!("port {} ", self.source);
        }
        if let Err(error) = self.socket.connect_timeout(&self.to.into(), self.patience) {
            let to = names.address(self.to);
            self.notes
                .log
                .note(format!("{from}> {to}: connect {}", errno(&error)));
            return Err(error);
        }
        let stream = TcpStream::from(self.socket);
        let name = format!(
            "{} > {}",
            names.source(stream.local_addr()?),
            names.address(self.to)
        );
        let peer = Peer::new(stream, name, self.notes);
        peer.note("connected");
        Ok(peer)
    }
}

/// One end of a connection. Dropping it closes it without a note.
pub struct Peer {
    stream: Mutex<Option<Arc<TcpStream>>>,
    name: String,
    notes: Notes,
}

impl Peer {
    fn new(stream: TcpStream, name: String, notes: Notes) -> Self {
        stream.set_nonblocking(false).expect("a blocking socket");
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(TIMEOUT)).expect("a timeout");
        }
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: Mutex::new(Some(Arc::new(stream))),
            name,
            notes,
        }
    }

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
    /// Those of `write`, noted too.
    pub fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        let outcome = (&*self.stream()).write_all(bytes);
        self.note(match &outcome {
            Ok(()) => format!("sent {}", digest(bytes)),
            Err(error) => format!("send {}", errno(error)),
        });
        outcome
    }

    /// Receives exactly these bytes.
    #[track_caller]
    pub fn expect(&self, bytes: &[u8]) -> &Self {
        let received = self.receive(bytes.len());
        assert!(received == bytes, "{}: other bytes arrived", self.name);
        self
    }

    /// Receives a number of bytes.
    #[track_caller]
    pub fn receive(&self, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        if let Err(error) = (&*self.stream()).read_exact(&mut buffer) {
            self.note(format!("receive {}", errno(&error)));
            panic!("{}: receive {length} bytes: {error}", self.name);
        }
        self.note(format!("received {}", digest(&buffer)));
        buffer
    }

    /// Bytes to the other end, more than the buffers hold if need be.
    #[track_caller]
    pub fn deliver(&self, to: &Self, bytes: &[u8]) -> &Self {
        thread::scope(|scope| {
            scope.spawn(|| self.send(bytes));
            to.expect(bytes);
        });
        self
    }

    /// The other end has sent its last byte.
    #[track_caller]
    pub fn expect_eof(&self) -> &Self {
        assert_eq!(self.read_one(), "end", "{}", self.name);
        self
    }

    /// The other end has aborted the connection.
    #[track_caller]
    pub fn expect_reset(&self) -> &Self {
        assert_eq!(self.read_one(), "ECONNRESET", "{}", self.name);
        self
    }

    /// Nothing arrives within `patience`, and the connection lives.
    #[track_caller]
    pub fn expect_silence(&self, patience: Duration) -> &Self {
        let limit = |limit| {
            self.stream()
                .set_read_timeout(Some(limit))
                .expect("a limit")
        };
        limit(patience);
        let read = self.read_one();
        limit(TIMEOUT);
        assert_eq!(read, "EAGAIN", "{}", self.name);
        self
    }

    /// Sends a FIN and goes on receiving.
    #[track_caller]
    pub fn shutdown(&self) -> &Self {
        self.note("shut down");
        self.stream().shutdown(Shutdown::Write).expect("shutdown");
        self
    }

    pub fn close(&self) {
        self.note("closed");
        self.stream.lock().expect("a stream").take();
    }

    /// Sends an RST.
    pub fn abort(&self) {
        self.note("aborted");
        SockRef::from(&*self.stream())
            .set_linger(Some(Duration::ZERO))
            .expect("linger");
        self.stream.lock().expect("a stream").take();
    }

    pub fn note(&self, what: impl AsRef<str>) {
        self.notes
            .log
            .note(format!("{}: {}", self.name, what.as_ref()));
    }

    /// # Panics
    /// Once it is closed.
    #[track_caller]
    pub fn stream(&self) -> Arc<TcpStream> {
        let stream = self.stream.lock().expect("a stream").clone();
        stream.unwrap_or_else(|| panic!("{}: closed by the test", self.name))
    }

    pub fn local(&self) -> SocketAddr {
        canonical(self.stream().local_addr().expect("an address"))
    }

    fn read_one(&self) -> String {
        let mut byte = [0];
        let what = match (&*self.stream()).read(&mut byte) {
            Ok(0) => "end".to_owned(),
            Ok(_) => format!("byte {:02x}", byte[0]),
            Err(error) => errno(&error),
        };
        self.note(format!("receive {what}"));
        what
    }
}
