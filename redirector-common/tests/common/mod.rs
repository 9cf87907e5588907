//! A host of the tests: rules, state, and packets that cross its interface.
#![allow(dead_code, reason = "every test is a crate of its own and uses a part")]

pub mod invariants;
pub mod locate;

use std::net::IpAddr;

use redirector_common::{
    Direction, Peer, Skip, Verdict, Window,
    abi::{
        ANY_ADDRESS, EarlierKey, EarlierTarget, FLOW_SYN_ACK, PORT_CHANGED, PORT_LINKED,
        PORT_SCOPED, PORT_SOURCE, PORT_TARGET, Port, PortEntry, Protocol, Rule, RuleCounters,
        RuleKey, port_index, port_of_index,
    },
    native::{
        Memory,
        craft::{self, Craft, Transport},
    },
};

/// The interface whose packets the host sees.
pub const INTERFACE: u32 = 2;

/// The port on the other side of the rewrite; `None` where the packet was not for us.
pub type Crossing = Result<Option<u16>, Skip>;

#[derive(Clone, Default)]
pub struct Host {
    pub memory: Memory,
    /// What the link layer of coming packets says.
    pub other_host: bool,
    /// The client's port on the other side of the last rewrite.
    pub client_port: u16,
    numbers: u32,
}

impl Host {
    /// With rules for TCP and UDP, any address and interface.
    pub fn with(rules: &[(u16, u16)]) -> Self {
        let mut host = Self::default();
        host.memory.ifindex = INTERFACE;
        for (from, to) in rules {
            host.rule(None, 0, *from, Some(*to));
        }
        host
    }

    /// It redirects 80 to 8000 and has an answered connection.
    #[track_caller]
    pub fn connected(talk: &Talk) -> Self {
        let mut host = Self::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        host.has_socket(talk, 8000, Peer::Handshake);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(talk, 8000, CONNECTED);
        host
    }

    /// Adds, retargets or removes a rule for TCP and UDP.
    pub fn rule(&mut self, address: Option<IpAddr>, ifindex: u32, from: u16, to: Option<u16>) {
        let new = self.numbers;
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let key = RuleKey {
                address: address.map_or(ANY_ADDRESS, craft::address),
                ifindex,
                port: Port::new(from),
                protocol: protocol.number() as u8,
                slot: 0,
            };
            let before = self.memory.rules.remove(&key);
            if let Some(before) = before {
                self.retire(port_index(0, protocol, key.port), before);
            }
            if let Some(to) = to {
                let rule = Rule {
                    target: Port::new(to),
                    number: before.map_or(new, |rule| rule.number),
                    reserved: 0,
                };
                self.numbers = self.numbers.max(rule.number + 1);
                self.memory.rules.insert(key, rule);
            }
        }
        self.fill_ports();
    }

    /// The number of a TCP rule for any interface.
    pub fn number_of(&self, address: Option<IpAddr>, from: u16) -> u32 {
        let address = address.map_or(ANY_ADDRESS, craft::address);
        let is_it = |key: &&RuleKey| key.address == address && key.port == Port::new(from);
        let key = self.memory.rules.keys().find(is_it).expect("the rule");
        self.memory.rules[key].number
    }

    fn retire(&mut self, port: u32, rule: Rule) {
        let earlier = &mut self.memory.earlier;
        let mut newest = Some(EarlierTarget {
            target: rule.target,
            reserved: 0,
            rule: rule.number,
        });
        for age in 0.. {
            let Some(target) = newest else { break };
            newest = earlier.insert(EarlierKey { port, age }, target);
        }
    }

    fn fill_ports(&mut self) {
        let ports = &mut self.memory.ports;
        ports.clear();
        let mut flag = |index, flags| {
            let entry: &mut PortEntry = ports.entry(index).or_default();
            entry.flags |= flags;
        };
        for (key, rule) in &self.memory.rules {
            let protocol = Protocol::from_number(u32::from(key.protocol));
            let is_scoped = key.address != ANY_ADDRESS || key.ifindex != 0;
            let scoped = if is_scoped { PORT_SCOPED } else { 0 };
            let linked = if key.ifindex == 0 { 0 } else { PORT_LINKED };
            flag(
                port_index(0, protocol, key.port),
                PORT_SOURCE | scoped | linked,
            );
            flag(port_index(0, protocol, rule.target), PORT_TARGET);
        }
        for (key, earlier) in &self.memory.earlier {
            let (_, protocol, _) = port_of_index(key.port);
            flag(key.port, PORT_SOURCE | PORT_CHANGED);
            flag(port_index(0, protocol, earlier.target), PORT_TARGET);
        }
        for (key, rule) in &self.memory.rules {
            if key.address == ANY_ADDRESS && key.ifindex == 0 {
                let protocol = Protocol::from_number(u32::from(key.protocol));
                let entry = ports.entry(port_index(0, protocol, key.port)).or_default();
                entry.target = rule.target;
                entry.rule = rule.number;
            }
        }
    }

    /// A packet comes in; the answer is its destination port after the rewrite.
    #[track_caller]
    pub fn receive(&mut self, packet: &Craft) -> Crossing {
        self.cross(packet, Direction::Ingress)
    }

    /// A packet goes out; the answer is its source port after the rewrite.
    #[track_caller]
    pub fn send(&mut self, packet: &Craft) -> Crossing {
        self.cross(packet, Direction::Egress)
    }

    /// Nothing but the ports may change, and the client's only if one was moved; the checksum must be
    /// the one of a new packet.
    #[track_caller]
    fn cross(&mut self, packet: &Craft, direction: Direction) -> Crossing {
        let mut frame = packet.frame();
        frame.other_host = self.other_host;
        let mut expected = packet.clone();
        let Craft {
            source_port,
            destination_port,
            ..
        } = &mut expected;
        let (local, local_at, remote, remote_at) = match direction {
            Direction::Ingress => (destination_port, 2, source_port, 0),
            Direction::Egress => (source_port, 0, destination_port, 2),
        };
        let verdict = invariants::cross(&mut frame, &mut self.memory, direction);
        let crossing = match verdict {
            Ok(Verdict::Redirected { .. }) => {
                let port = |at| {
                    let at = packet.transport() + at;
                    u16::from_be_bytes([frame.bytes[at], frame.bytes[at + 1]])
                };
                *local = port(local_at);
                if self.memory.has_moved {
                    *remote = port(remote_at);
                }
                self.client_port = *remote;
                Ok(Some(*local))
            }
            Ok(Verdict::Unrelated) => Ok(None),
            Err(skip) => Err(skip),
        };
        assert_eq!(
            frame.bytes,
            expected.frame().bytes,
            "{verdict:?} {packet:?}"
        );
        crossing
    }

    /// What the kernel says about the socket of a tuple whose local port is `port`.
    pub fn has_socket(&mut self, talk: &Talk, port: u16, peer: Peer) {
        let [remote, local] = [talk.client.0, talk.server].map(craft::address);
        let tuple = (remote, Port::new(talk.client.1), local, Port::new(port));
        self.memory.peers.insert(tuple, peer);
    }

    /// Which sequence number the connected socket expects next; it has sent what [`DATA`]
    /// acknowledges.
    pub fn expects(&mut self, talk: &Talk, port: u16, next: u32) {
        let window = Window {
            receive_next: next,
            unacknowledged: 700,
            send_next: 700,
        };
        let [remote, local] = [talk.client.0, talk.server].map(craft::address);
        let tuple = (remote, Port::new(talk.client.1), local, Port::new(port));
        self.memory.windows.insert(tuple, window);
    }

    /// The talk's server is another host, and this one a router.
    pub fn is_routed(&mut self, talk: &Talk) {
        self.memory.remote.insert(craft::address(talk.server));
    }

    pub fn connections(&self) -> u64 {
        self.memory
            .counters
            .values()
            .map(|each| each.connections)
            .sum()
    }

    pub fn counters(&self, rule: u32) -> RuleCounters {
        self.memory.counters.get(&rule).copied().unwrap_or_default()
    }

    /// The application has answered everybody.
    pub fn is_answering(&mut self) {
        for flow in self.memory.pending.values_mut() {
            flow.flags |= FLOW_SYN_ACK;
        }
    }

    /// As a flood of spoofed packets does.
    pub fn lose_pending(&mut self) {
        self.memory.pending.clear();
    }

    pub fn lose_all_flows(&mut self) {
        self.memory.pending.clear();
        self.memory.answered.clear();
        self.memory.moved.clear();
        // Newer flows have taken those places long before.
        self.memory.recent.clear();
    }

    /// Flows that only their client was seen of, and flows that were answered.
    pub fn flows(&self) -> [usize; 2] {
        [self.memory.pending.len(), self.memory.answered.len()]
    }
}

/// What one client and one address of the host say to each other.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    pub client: (IpAddr, u16),
    pub server: IpAddr,
}

impl Talk {
    pub fn to(&self, port: u16, transport: Transport) -> Craft {
        Craft::new(self.client, (self.server, port), transport)
    }

    pub fn from(&self, port: u16, transport: Transport) -> Craft {
        Craft::new((self.server, port), self.client, transport)
    }
}

/// A connected socket that remembers nothing, as most do.
pub const CONNECTED: Peer = Peer::Connected { origin: None };

/// Runs a story over IPv4 and over IPv6.
pub fn each_family(story: impl Fn(Talk)) {
    for (client, server) in [
        ("203.0.113.9", "192.0.2.1"),
        ("2001:db8::9", "2001:db8:1::1"),
    ] {
        let [client, server] = [client, server].map(|text| text.parse().expect("an address"));
        story(Talk {
            client: (client, 40_000),
            server,
        });
    }
}

pub const fn tcp(flags: u8, sequence: u32, acknowledgment: u32) -> Transport {
    Transport::Tcp {
        flags,
        sequence,
        acknowledgment,
    }
}

pub const OPENING: Transport = tcp(craft::SYN, 100, 0);
pub const SYN_ACK: Transport = tcp(craft::SYN | craft::ACK, 500, 101);
/// The client's answer to [`SYN_ACK`].
pub const FINAL_ACK: Transport = tcp(craft::ACK, 101, 501);
/// Anything later.
pub const DATA: Transport = tcp(craft::ACK, 300, 700);

pub const UDP: Transport = Transport::Udp { checksum: true };
