use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use socket2::Socket;

use super::log::{Log, Notes};
use super::names::Names;
use super::network::{Network, OTHER};
use super::peer::Peer;
use super::tap::Tap;
use super::tcp::{Dial, Server};
use super::udp::UdpPeer;
use super::{Family, Place};
use crate::datapath::{Datapath, Redirected};
use crate::netns::{Namespace, Offloads};
use crate::topology::CLIENT;

const BACKLOG: i32 = 128;

/// What a scenario's traffic has to do with: one family, one place, one offload setting.
pub struct Stage {
    /// The transcript of the client's side.
    pub client: Log,
    /// The transcript of the server's side.
    pub server: Log,
    pub(super) network: Arc<Network>,
    pub(super) redirected: Arc<Redirected>,
    pub(super) datapath: Datapath,
    pub(super) case: Case,
    pub(super) names: Names,
    pub(super) tap: Option<Tap>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// Among the cases of one run.
    pub number: u16,
    pub family: Family,
    pub place: Place,
    pub offloads: Offloads,
}

/// Where the client connects to and from.
impl Stage {
    /// The server as the client reaches it.
    pub fn server(&self, port: u16) -> SocketAddr {
        let address = self.network.server_at(self.case.place, self.case.family);
        SocketAddr::new(address, port)
    }

    /// The server's second address; [`Topology::Lan`](super::Topology::Lan) only.
    pub fn other(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.case.family.of(OTHER), port)
    }

    /// A source port of the client that no other case of this run uses. `number` is below 50.
    pub fn source_port(&self, number: u16) -> u16 {
        assert!(number < 50, "source port {number}: below 50");
        20_000 + 50 * self.case.number + number
    }

    /// Makes an address of crafted packets known as a client's, so that a server's transcript does
    /// not call it moved.
    pub fn client_source(&self, address: SocketAddr) -> SocketAddr {
        self.names.source(address);
        address
    }

    pub fn client_host(&self) -> &Namespace {
        self.network.client_at(self.case.place)
    }

    pub fn server_host(&self) -> &Namespace {
        &self.network.server
    }

    /// # Panics
    /// Where the topology has none.
    #[track_caller]
    pub fn container(&self) -> &Namespace {
        self.network.container.as_ref().expect("a container")
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn family(&self) -> Family {
        self.case.family
    }

    pub fn place(&self) -> Place {
        self.case.place
    }

    pub fn offloads(&self) -> Offloads {
        self.case.offloads
    }

    pub fn datapath(&self) -> Datapath {
        self.datapath
    }

    /// The redirector's flow tables lose everything, as they may while a connection idles.
    pub fn forget_flows(&self) {
        self.redirected.forget_flows();
    }

    /// The name of an address in transcripts.
    pub fn name(&self, address: SocketAddr) -> String {
        self.names.address(address)
    }

    /// The client's cable, for crafted packets.
    ///
    /// # Panics
    /// When the client is on the server.
    #[track_caller]
    pub fn wire(&self) -> &Tap {
        self.tap.as_ref().expect("a cable: the client is remote")
    }
}

/// Sockets. Each notes what happens to it in the transcript of its side.
impl Stage {
    /// Listens on every address of the server, both families.
    pub fn listen(&self, port: u16) -> Server {
        self.listen_on(&self.network.server, port)
    }

    /// The same on another host, such as the container.
    pub fn listen_on(&self, host: &Namespace, port: u16) -> Server {
        let everywhere = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let notes = self.notes(&self.server);
        Server::bind(host, everywhere, BACKLOG, |_| Ok(()), notes)
    }

    /// Listens with this backlog after setting socket options.
    pub fn listen_at(
        &self,
        address: SocketAddr,
        backlog: i32,
        set: impl Fn(&Socket) -> io::Result<()>,
    ) -> Server {
        let notes = self.notes(&self.server);
        Server::bind(&self.network.server, address, backlog, set, notes)
    }

    /// A connection from the client to `port` of the server, to be refined.
    pub fn dial(&self, port: u16) -> Dial<'_> {
        self.dial_to(self.server(port))
    }

    pub fn dial_to(&self, to: SocketAddr) -> Dial<'_> {
        self.dial_on(self.client_host(), to)
    }

    /// The same from another host, such as the container.
    pub fn dial_on<'a>(&self, host: &'a Namespace, to: SocketAddr) -> Dial<'a> {
        Dial::new(host, to, self.notes(&self.client))
    }

    /// A connection that must succeed.
    #[track_caller]
    pub fn connect(&self, port: u16) -> Peer {
        self.dial(port).connect()
    }

    /// Both ends of a connection to `port` that arrives at `target`, where nobody listens afterwards.
    #[track_caller]
    pub fn connection(&self, port: u16, target: u16) -> (Peer, Peer) {
        let listener = self.listen(target);
        let client = self.connect(port);
        (client, listener.accept())
    }

    /// Receives on every address of the server, both families.
    pub fn udp_server(&self, port: u16) -> UdpPeer {
        self.udp_server_on(&self.network.server, port)
    }

    /// The same on another host, such as the container.
    pub fn udp_server_on(&self, host: &Namespace, port: u16) -> UdpPeer {
        UdpPeer::server(host, port, self.notes(&self.server))
    }

    /// Connected to `port` of the server: datagrams from elsewhere never arrive.
    pub fn udp_client(&self, port: u16) -> UdpPeer {
        self.udp_client_from(0, self.server(port))
    }

    /// The same with a chosen source port; 0 lets the kernel choose.
    pub fn udp_client_from(&self, source: u16, to: SocketAddr) -> UdpPeer {
        self.udp_client_on(self.client_host(), source, to)
    }

    /// The same on another host, such as the container.
    pub fn udp_client_on(&self, host: &Namespace, source: u16, to: SocketAddr) -> UdpPeer {
        UdpPeer::client(host, source, to, self.notes(&self.client))
    }

    /// Not connected: it hears everybody.
    pub fn udp_client_to_many(&self, source: u16) -> UdpPeer {
        let like = self.server(0);
        let address = match self.case.place {
            Place::Remote => self.case.family.of(CLIENT),
            Place::Loopback | Place::OwnAddress => like.ip(),
        };
        self.client_source(SocketAddr::new(address, source));
        UdpPeer::client_to_many(self.client_host(), source, like, self.notes(&self.client))
    }

    fn notes(&self, log: &Log) -> Notes {
        Notes {
            log: log.clone(),
            names: self.names.clone(),
        }
    }
}
