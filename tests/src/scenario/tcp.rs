use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::log::{Notes, errno};
use super::peer::Peer;
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
    pub(super) fn bind(
        host: &Namespace,
        address: SocketAddr,
        backlog: i32,
        set: impl Fn(&Socket) -> io::Result<()>,
        notes: Notes,
    ) -> Self {
        let listener = wait::until_bound(&format!("cannot listen on {address}"), || {
            let socket = host.enter(|| {
                Socket::new(
                    Domain::for_address(address),
                    Type::STREAM,
                    Some(Protocol::TCP),
                )
            })?;
            socket.set_reuse_address(true)?;
            set(&socket)?;
            socket.bind(&address.into())?;
            socket.listen(backlog)?;
            Ok(TcpListener::from(socket))
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
            self.socket.set_reuse_address(true)?;
            from = format!("port {} ", self.source);
        }
        // Also where the kernel chooses the port: connect(2) itself would choose one now and then that
        // another connection of the case has, to another port of the server.
        let local = SocketAddr::new(unspecified_like(self.to), self.source);
        self.host.enter(|| self.socket.bind(&local.into()))?;
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
