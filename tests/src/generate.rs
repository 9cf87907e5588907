//! Packets that meet the rules of a host often, in every shape that the packet path knows.

use std::net::IpAddr;

use redirector_common::native::Frame;
use redirector_common::native::craft::{
    ACK, Craft, Extension, Fragment, IcmpError, RST, SYN, Transport,
};
use redirector_common::{Direction, LinkLayer};

use crate::random::Random;

/// `test_run` refuses what does not fit into a page (`net/bpf/test_run.c`, `bpf_test_init()`).
const LONGEST: usize = 3500;

/// What the generator draws from.
pub struct World {
    /// Either family has some.
    pub clients: Vec<IpAddr>,
    pub servers: Vec<IpAddr>,
    /// From and to.
    pub ports: Vec<(u16, u16)>,
}

impl World {
    /// Packets of a part so small that they have to do with each other.
    pub fn talk(&self, random: &mut Random) -> Talk {
        let client = random.pick(&self.clients);
        let mut servers = self.servers.clone();
        servers.retain(|server| server.is_ipv4() == client.is_ipv4());
        let (from, _) = random.pick(&self.ports);
        let (other, _) = random.pick(&self.ports);
        let both = random.one_in(3);
        let mut ports = self.ports.clone();
        ports.retain(|rule| rule.0 == from || both && rule.0 == other);
        Talk {
            client,
            server: random.pick(&servers),
            ports,
            past: Vec::new(),
        }
    }
}

/// What one client and one address of the host say to each other.
pub struct Talk {
    client: IpAddr,
    server: IpAddr,
    ports: Vec<(u16, u16)>,
    /// What an error can be about.
    past: Vec<(Craft, Direction)>,
}

impl Talk {
    /// One packet and the side it crosses.
    pub fn packet(&mut self, random: &mut Random) -> (Frame, Direction) {
        let (mut frame, headers, direction) = if !self.past.is_empty() && random.one_in(4) {
            let at = random.below(self.past.len());
            let (about, direction) = self.past[at].clone();
            let (error, direction) = self.error(random, about, direction);
            (error.frame(), error.ports_at() + 20, direction)
        } else {
            let direction = random.pick(&[Direction::Ingress, Direction::Egress]);
            let packet = self.describe(random, direction);
            self.past.push((packet.clone(), direction));
            (packet.frame(), packet.transport() + 20, direction)
        };
        if frame.link_layer == LinkLayer::Ethernet && random.one_in(32) {
            frame.bytes[0] = random.pick(&[0x01, 0x02, 0xff]);
        }
        damage(random, &mut frame.bytes, headers);
        frame.bytes.truncate(LONGEST);
        lengthen(&mut frame.bytes);
        frame.other_host = is_other_host(&frame.bytes);
        (frame, direction)
    }

    fn describe(&self, random: &mut Random, direction: Direction) -> Craft {
        let (from, to) = random.pick(&self.ports);
        let [seldom, often] = match direction {
            Direction::Ingress => [to, from],
            Direction::Egress => [from, to],
        };
        let port = match random.below(16) {
            0 => u16::from_be_bytes(random.bytes()),
            1 | 2 => seldom,
            _ => often,
        };
        let client = (self.client, 40_000 + u16::from(random.one_in(8)));
        let (source, destination) = match direction {
            Direction::Ingress => (client, (self.server, port)),
            Direction::Egress => ((self.server, port), client),
        };
        let mut packet = Craft::new(source, destination, transport(random));
        packet.payload.resize(random.below(64), 0x5a);
        [packet.traffic_class] = random.bytes();
        headers(random, &mut packet);
        packet
    }

    /// About a packet that crossed to one side, and back over the same. Who reports a packet has seen
    /// it behind the redirection.
    fn error(
        &self,
        random: &mut Random,
        mut about: Craft,
        side: Direction,
    ) -> (IcmpError, Direction) {
        let back = match side {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        if !random.one_in(4) {
            let (port, is_reverse) = match side {
                Direction::Ingress => (&mut about.destination_port, false),
                Direction::Egress => (&mut about.source_port, true),
            };
            let behind = self.ports.iter().find_map(|&(from, to)| match is_reverse {
                false => (from == *port).then_some(to),
                true => (to == *port).then_some(from),
            });
            *port = behind.unwrap_or(*port);
        }
        // The same shapes, but not those of the packet.
        let mut outer = about.clone();
        (outer.options, outer.extensions, outer.tags) = Default::default();
        headers(random, &mut outer);
        let mut error = IcmpError::port_unreachable(about.destination, about);
        error.outer.link_layer = outer.link_layer;
        error.outer.tags = outer.tags;
        error.outer.options = outer.options;
        error.outer.extensions = outer.extensions;
        error.outer.fragment = outer.fragment.filter(|_| random.one_in(4));
        error.outer.traffic_class = outer.traffic_class;
        let kinds: &[u8] = match self.client {
            IpAddr::V4(_) => &[3, 3, 3, 11, 12, 5, 8],
            IpAddr::V6(_) => &[1, 1, 2, 3, 4, 128],
        };
        error.kind = random.pick(kinds);
        error.code = random.pick(&[0, 1, 4]);
        error.parameter = random.pick(&[0, 1280]);
        error.quote_length += random.pick(&[0, 0, 4, 12, 12, 20, 100]);
        error.extension = random.one_in(4).then(|| vec![0, 8, 1, 1, 0, 0, 1, 1]);
        (error, back)
    }
}

fn transport(random: &mut Random) -> Transport {
    const PSH: u8 = 0x08;
    const FIN: u8 = 0x01;
    if random.one_in(3) {
        return Transport::Udp {
            checksum: !random.one_in(4),
        };
    }
    let [any] = random.bytes();
    Transport::Tcp {
        flags: random.pick(&[
            SYN,
            SYN,
            SYN | ACK,
            ACK,
            ACK,
            PSH | ACK,
            FIN | ACK,
            RST,
            any,
        ]),
        // So few that an acknowledgment often is the expected one, which may have wrapped.
        sequence: random.pick(&[1000, u32::MAX]),
        acknowledgment: random.pick(&[1001, 0, 1002]),
    }
}

fn headers(random: &mut Random, packet: &mut Craft) {
    const EXTENSIONS: [u8; 3] = [0, 43, 60];
    if random.one_in(4) {
        packet.link_layer = LinkLayer::None;
        // To the kernel these bytes are a MAC address, this one's first bit says group.
        packet.traffic_class |= if random.one_in(16) { 0 } else { 0x10 };
    } else {
        let tags = random.pick(&[0, 0, 1, 2, 3]);
        packet.tags = (0..tags).map(|_| random.pick(&[0x8100, 0x88a8])).collect();
    }
    if random.one_in(3) {
        let words = random.below(11);
        packet.options = (0..words).flat_map(|_| random.bytes::<4>()).collect();
    }
    if random.one_in(2) {
        let count = random.pick(&[1, 1, 2, 3, 5, 6, 7]);
        let extension = |_| Extension {
            number: random.pick(&EXTENSIONS),
            units: random.pick(&[0, 0, 1, 2, 7, 40]),
        };
        packet.extensions = (0..count).map(extension).collect();
    }
    if random.one_in(8) {
        packet.fragment = Some(Fragment {
            offset: random.pick(&[0, 0, 1, 185]),
            more: random.one_in(2),
        });
    }
}

/// Bytes with other values, an end that comes early, or nothing but noise.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, headers: usize) {
    match random.below(16) {
        0 | 1 => {
            for _ in 0..=random.below(3) {
                let at = random.below(headers.min(bytes.len()));
                [bytes[at]] = random.bytes();
            }
        }
        2 => bytes.truncate(random.below(headers)),
        3 if random.one_in(4) => {
            for byte in bytes {
                [*byte] = random.bytes();
            }
        }
        _ => {}
    }
}

/// `test_run` refuses what is shorter than Ethernet's header, or than the IP header which that
/// announces (`bpf_prog_test_run_skb()`). A packet without a link layer is read as if it had one.
fn lengthen(bytes: &mut Vec<u8>) {
    const ETHERNET: usize = 14;
    bytes.resize(bytes.len().max(ETHERNET + 1), 0);
    let network = match bytes[12..ETHERNET] {
        [0x08, 0x00] => 20,
        [0x86, 0xdd] => 40,
        _ => 1,
    };
    bytes.resize(bytes.len().max(ETHERNET + network), 0);
}

/// `eth_type_trans()` on loopback, whose address is all zeros. A packet without a link layer goes
/// through it too.
fn is_other_host(bytes: &[u8]) -> bool {
    let destination = &bytes[..6];
    destination[0] & 1 == 0 && destination != [0; 6]
}
