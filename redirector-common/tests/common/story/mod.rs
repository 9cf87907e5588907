//! What may happen to a host, in an order that nobody thought of: the fuzzer's input.

mod origins;
mod packet;
mod report;

use std::net::IpAddr;

use arbitrary::Arbitrary;
use origins::Origins;
use packet::Packet;
use redirector_common::{
    Direction, LinkLayer, Peer,
    abi::{KEY_FLOW, NO_PORT, Port, Protocol, SLOT_OFF, SocketFlow},
    native::{Frame, Tuple, craft},
};
use report::Report;

use crate::common::{Host, INTERFACE};

/// So few that what happens has to do with each other.
const CLIENTS: [&str; 3] = ["203.0.113.9", "2001:db8::9", "fe80::9"];
const SERVERS: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8:1::1", "2001:db8:1::2"];
/// 40,000 is moved there first.
const CLIENT_PORTS: [u16; 4] = [40_000, 40_001, 80, 48_943];
const PORTS: [u16; 6] = [80, 8000, 443, 9000, 53, 0];
#[derive(Arbitrary, Debug)]
pub struct Story {
    rules: Vec<Rule>,
    events: Vec<Event>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Rule {
    address: Option<Pick>,
    interface: Option<bool>,
    from: Pick,
    /// A removal without one.
    to: Option<Pick>,
}

#[derive(Arbitrary, Debug)]
enum Event {
    Noise(Noise),
    Packet(Packet),
    Report(Report),
    Rule(Rule),
    /// Floods of other flows: of pending ones, or of both kinds.
    Evicted {
        both: bool,
    },
    /// What the kernel says of a TCP socket.
    Socket {
        talk: Talk,
        port: Pick,
        peer: Kind,
    },
    /// A connection of those that the tables know has a socket.
    Accepted(Pick),
    Seconds(u8),
    /// Nothing is in force, or the rules are again.
    Switched {
        off: bool,
    },
    Routed(Pick),
    Interface {
        other: bool,
    },
    /// What leaves is this host's own again, or that of others.
    Forwarded {
        is_others: bool,
    },
}

/// One of a list, however long that is.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Pick(u8);

impl Pick {
    fn of<T: Copy>(self, list: &[T]) -> T {
        list[usize::from(self.0) % list.len()]
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Talk {
    client: Pick,
    client_port: Pick,
    server: Pick,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    None,
    Handshake,
    TimeWait,
    Connected { origin: Option<Origin> },
}

/// What a socket remembers.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Origin {
    from: Pick,
    /// Where it was moved.
    client_port: Option<Pick>,
}

#[derive(Arbitrary, Debug)]
struct Noise {
    bytes: Vec<u8>,
    has_ethernet: bool,
    is_outgoing: bool,
}

impl Story {
    /// Panics where something does not hold.
    pub fn run(&self) {
        let mut host = Host::with(&[]);
        let mut origins = Origins::default();
        for rule in self.rules.iter().take(8) {
            rule.apply(&mut host);
        }
        for event in self.events.iter().take(64) {
            event.happen(&mut host, &mut origins);
        }
    }
}

impl Rule {
    fn apply(self, host: &mut Host) {
        let address = self.address.map(|pick| address(pick.of(&SERVERS)));
        let interface = match self.interface {
            None => 0,
            Some(true) => INTERFACE,
            Some(false) => INTERFACE + 1,
        };
        let from = self.from.of(&PORTS);
        let to = self.to.map(|to| to.of(&PORTS));
        // `Config` refuses both.
        if from != 0 && to != Some(from) && to != Some(0) {
            host.rule(address, interface, from, to);
        }
    }
}

impl Event {
    fn happen(&self, host: &mut Host, origins: &mut Origins) {
        match self {
            Self::Noise(noise) => noise.cross(host, origins),
            Self::Packet(packet) => packet.cross(host, origins),
            Self::Rule(rule) => rule.apply(host),
            Self::Evicted { both: true } => host.lose_all_flows(),
            Self::Evicted { both: false } => host.lose_pending(),
            Self::Report(report) => report.cross(host, origins),
            Self::Socket { talk, port, peer } => {
                let tuple = talk.tuple(port.of(&PORTS));
                let peer = peer.of(tuple, host, origins);
                host.memory.peers.insert(tuple, peer);
            }
            Self::Accepted(pick) => accept(*pick, host),
            Self::Seconds(seconds) => host.memory.now += u64::from(*seconds) * 1_000_000_000,
            Self::Switched { off } => host.memory.slot = if *off { SLOT_OFF } else { 0 },
            Self::Routed(server) => {
                let server = craft::address(address(server.of(&SERVERS)));
                host.memory.remote.insert(server);
            }
            Self::Interface { other } => host.memory.ifindex = INTERFACE + u32::from(*other),
            Self::Forwarded { is_others } => host.memory.forwards = *is_others,
        }
    }
}

fn accept(pick: Pick, host: &mut Host) {
    let memory = &mut host.memory;
    let flows = memory.pending.keys().chain(memory.answered.keys());
    let flows = flows.filter(|key| key.kind == KEY_FLOW && key.protocol == Protocol::TCP);
    let mut tuples: Vec<Tuple> = flows
        .map(|key| (key.remote, key.remote_port, key.local, key.local_port))
        .collect();
    tuples.sort_by_key(|tuple| (tuple.0.octets(), tuple.1, tuple.2.octets(), tuple.3));
    if !tuples.is_empty() {
        let connected = Peer::Connected { origin: None };
        memory.peers.entry(pick.of(&tuples)).or_insert(connected);
    }
}

impl Kind {
    fn of(self, tuple: Tuple, host: &mut Host, origins: &mut Origins) -> Peer {
        match self {
            Self::None => Peer::None,
            Self::Handshake => Peer::Handshake,
            Self::TimeWait => Peer::TimeWait,
            Self::Connected { origin } => Peer::Connected {
                origin: origin.and_then(|origin| origin.of(tuple, host, origins)),
            },
        }
    }
}

impl Origin {
    /// `None` where it would be a connection straight to the port that is the client's own, or through
    /// port 0, from which no rule leads.
    fn of(self, tuple: Tuple, host: &mut Host, origins: &mut Origins) -> Option<SocketFlow> {
        let from = Port::new(self.from.of(&PORTS));
        let client = self
            .client_port
            .map(|pick| Port::new(pick.of(&CLIENT_PORTS)));
        let client = client.filter(|client| *client != tuple.1);
        if from == NO_PORT || client.is_none() && from == tuple.3 {
            return None;
        }
        let origin = SocketFlow {
            rule: 0,
            from,
            client: client.unwrap_or(NO_PORT),
        };
        host.memory.has_moved |= client.is_some();
        origins.note_socket(tuple, origin);
        Some(origin)
    }
}

impl Talk {
    /// Of one family.
    fn ends(self) -> [IpAddr; 2] {
        let client = address(self.client.of(&CLIENTS));
        let of_family: Vec<_> = SERVERS
            .map(address)
            .into_iter()
            .filter(|server| server.is_ipv4() == client.is_ipv4())
            .collect();
        [client, self.server.of(&of_family)]
    }

    fn tuple(self, port: u16) -> Tuple {
        let [client, server] = self.ends().map(craft::address);
        let client_port = Port::new(self.client_port.of(&CLIENT_PORTS));
        (client, client_port, server, Port::new(port))
    }
}

impl Noise {
    fn cross(&self, host: &mut Host, origins: &mut Origins) {
        let mut frame = Frame {
            bytes: self.bytes.clone(),
            link_layer: link_layer(self.has_ethernet),
            other_host: false,
            mark: 0,
        };
        let _ = origins.cross(&mut frame, &mut host.memory, direction(self.is_outgoing));
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn link_layer(has_ethernet: bool) -> LinkLayer {
    if has_ethernet {
        LinkLayer::Ethernet
    } else {
        LinkLayer::None
    }
}

fn direction(is_outgoing: bool) -> Direction {
    if is_outgoing {
        Direction::Egress
    } else {
        Direction::Ingress
    }
}
