//! Generated stories between one client and a server, as frames for any server that answers.
//!
//! What conntrack calls invalid netfilter leaves on the wire port, where a server that redirects
//! without conntrack leaves it to the socket behind. These differences are netfilter's and are kept
//! out, each where the comment says so: flags that go together in no connection and a client's
//! SYN-ACK ([`VALID`]), a wrong acknowledgment within a handshake and a SYN after the end
//! ([`Talk::packet`]), fragments behind extension headers, in quotes ([`Talk::keep_simple`]), and with
//! damaged IP headers ([`Step`]).

mod step;

use std::net::IpAddr;

use redirector_common::native::craft::{
    ACK, Craft, Extension, Fragment, IcmpError, RST, SYN, Transport,
};

pub use step::{Numbers, Step};

use crate::random::Random;
use step::{ALL, What};

const PSH: u8 = 0x08;
const FIN: u8 = 0x01;
const URG: u8 = 0x20;
/// The client's first sequence number.
const FIRST: u32 = 1000;

/// `tcp_valid_flags` of `net/netfilter/nf_conntrack_proto_tcp.c`, without the SYN-ACK that its
/// `tcp_conntracks` takes from a server only.
const VALID: [u8; 8] = [
    SYN,
    SYN | URG,
    RST,
    RST | ACK,
    FIN | ACK,
    FIN | ACK | URG,
    ACK,
    ACK | URG,
];

pub struct Talk {
    pub client: IpAddr,
    pub server: IpAddr,
    pub client_port: u16,
    /// Of the server, as the client asks for them; the first one is open.
    pub ports: Vec<u16>,
    next: u32,
    /// Steps so far.
    count: u16,
    is_established: bool,
    is_closing: bool,
    /// Whether the server has answered a datagram.
    is_served: bool,
}

impl Talk {
    pub fn new(client: (IpAddr, u16), server: IpAddr, ports: Vec<u16>) -> Self {
        Self {
            client: client.0,
            server,
            client_port: client.1,
            ports,
            next: FIRST,
            count: 0,
            is_established: false,
            is_closing: false,
            is_served: false,
        }
    }

    pub fn step(&mut self, random: &mut Random) -> Step {
        self.count += 1;
        let mut packet = self.packet(random);
        headers(random, &mut packet);
        let what = match random.below(8) {
            0 => What::Error(self.error(random)),
            1 if packet.payload.len() >= 16 => {
                self.keep_simple(&mut packet);
                What::Halves(packet, 8)
            }
            2 if random.one_in(3) => {
                packet.fragment = Some(Fragment {
                    offset: random.pick(&[0, 0, 1, 185]),
                    more: random.one_in(2),
                });
                packet.payload.resize(24, 0x5a);
                self.keep_simple(&mut packet);
                What::Packet(packet)
            }
            _ => What::Packet(packet),
        };
        let step = Step::new(what, random, self.count);
        self.is_established |= step.is_plain_ack();
        self.is_served |= step.is_plain_datagram(self.ports[0]);
        step
    }

    /// For a fragment. Netfilter puts fragments together before anything looks at them, so that errors
    /// quote the whole; and it loses those behind other extension headers.
    fn keep_simple(&self, packet: &mut Craft) {
        packet.extensions.clear();
        packet.destination_port = self.ports[0];
    }

    /// The next of a connection that goes well, or any other.
    fn packet(&mut self, random: &mut Random) -> Craft {
        let port = random.pick(&self.ports);
        let client = (self.client, self.client_port);
        let transport = if random.one_in(4) {
            Transport::Udp {
                // RFC 8200 section 8.1: over IPv6 there is always one.
                checksum: self.client.is_ipv6() || !random.one_in(3),
            }
        } else {
            let (mut flags, mut sequence) = match (self.next, random.below(8)) {
                (FIRST, _) | (_, 0) => (SYN, FIRST),
                (_, 1) => (FIN | ACK, self.next),
                (_, 2) => (RST, self.next),
                (_, 3 | 4) => (ACK, self.next),
                _ => (PSH | ACK, self.next),
            };
            if random.one_in(6) {
                flags = random.pick(&VALID) | random.pick(&[0, 0, PSH, 0x40, 0xc0]);
            }
            if random.one_in(8) {
                sequence = sequence.wrapping_add(random.pick(&[1, 10, 100_000, u32::MAX]));
            }
            // Netfilter follows a SYN into a new connection, and a RST out of the old one, where the
            // server stays: in LAST-ACK, or because it expects another number.
            if self.is_closing && flags & SYN != 0 {
                (flags, sequence) = (ACK, self.next);
            }
            self.is_closing |= flags & (FIN | RST) != 0;
            let acknowledgment = if flags & ACK == 0 {
                0
            } else if self.is_established && random.one_in(8) {
                // Before, the server would answer with a RST and keep the handshake.
                random.pick(&[0, 2, 8, 100_000])
            } else {
                ALL
            };
            Transport::Tcp {
                flags,
                sequence,
                acknowledgment,
            }
        };
        let mut packet = Craft::new(client, (self.server, port), transport);
        packet.payload.resize(random.pick(&[0, 8, 33]), 0x5a);
        if let Transport::Tcp { flags, .. } = transport {
            if flags & (SYN | RST) != 0 || random.one_in(3) {
                packet.payload.clear();
            }
            let taken = u32::from(flags & (SYN | FIN) != 0) + packet.payload.len() as u32;
            self.next = self.next.max(FIRST + 1).wrapping_add(match flags {
                SYN => 0,
                _ => taken,
            });
        }
        packet
    }

    /// About something that the server sent or could have sent. Netfilter takes an error about a datagram
    /// that no server has sent yet; here it is nobody's.
    fn error(&self, random: &mut Random) -> IcmpError {
        let port = random.pick(&self.ports);
        let transport = if random.one_in(3) && self.is_served {
            Transport::Udp { checksum: true }
        } else {
            Transport::Tcp {
                flags: random.pick(&[SYN | ACK, ACK, PSH | ACK, RST | ACK]),
                sequence: random.pick(&[0, 0, 1, 9]),
                acknowledgment: self.next,
            }
        };
        let about = Craft::new(
            (self.server, port),
            (self.client, self.client_port),
            transport,
        );
        let mut error = IcmpError::port_unreachable(self.client, about);
        let kinds: &[(u8, u8)] = match self.client {
            IpAddr::V4(_) => &[
                (3, 0),
                (3, 1),
                (3, 2),
                (3, 3),
                (3, 4),
                (3, 13),
                (11, 0),
                (12, 0),
            ],
            IpAddr::V6(_) => &[
                (1, 0),
                (1, 1),
                (1, 3),
                (1, 4),
                (2, 0),
                (3, 0),
                (4, 0),
                (4, 1),
            ],
        };
        (error.kind, error.code) = random.pick(kinds);
        // The smallest that a link may have.
        error.parameter = if matches!((error.kind, error.code), (3, 4) | (2, 0)) {
            1280
        } else {
            0
        };
        error.quote_length += random.pick(&[0, 12, 12, 40]);
        error
    }
}

fn headers(random: &mut Random, packet: &mut Craft) {
    if random.one_in(6) {
        packet.options = vec![1; 4 * (1 + random.below(10))];
    }
    if random.one_in(6) {
        let hop_by_hop = random.one_in(3).then_some(0);
        let rest = (0..random.pick(&[0, 1, 2, 5])).map(|_| random.pick(&[43, 60]));
        let numbers: Vec<u8> = hop_by_hop.into_iter().chain(rest).collect();
        packet.extensions = numbers
            .into_iter()
            .map(|number| Extension { number, units: 0 })
            .collect();
    }
}
