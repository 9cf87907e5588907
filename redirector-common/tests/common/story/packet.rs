//! A packet from the pools, its headers as rare as they get, damaged or whole.

use arbitrary::Arbitrary;
use redirector_common::{
    Direction, Verdict,
    abi::KEY_FLOW,
    native::{
        Frame,
        craft::{self, Craft, Envelope, Extension, Fragment, Transport},
    },
};

use super::{CLIENT_PORTS, PORTS, Pick, Talk, direction, link_layer, origins::Origins, report};
use crate::common::{
    self, Host,
    invariants::known,
    locate::{Flow, flow, locate, u16_at},
};

const NUMBERS: [u32; 4] = [1000, 1001, 0, u32::MAX];

const LONGEST: usize = 200;

#[derive(Arbitrary, Debug)]
pub struct Packet {
    described: Described,
    harm: Option<Harm>,
    is_answered: bool,
    /// By ICMP errors; whether they quote all of it.
    is_reported: Option<bool>,
}

#[derive(Arbitrary, Debug)]
pub struct Described {
    talk: Talk,
    port: Pick,
    is_outgoing: bool,
    transport: Segment,
    shape: Option<Shape>,
    payload: u8,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Segment {
    Opening(Pick),
    Tcp {
        flags: u8,
        sequence: Pick,
        acknowledgment: Pick,
    },
    Udp {
        checksum: bool,
    },
}

/// Headers that few packets have.
#[derive(Arbitrary, Debug)]
pub struct Shape {
    has_ethernet: bool,
    tags: Vec<bool>,
    options: u8,
    extensions: Vec<(Pick, u8)>,
    fragment: Option<(u16, bool)>,
}

#[derive(Arbitrary, Debug)]
pub struct Harm {
    bytes: Vec<(u16, u8)>,
    end: Option<u16>,
    other_host: bool,
}

impl Packet {
    pub fn cross(&self, host: &mut Host, origins: &mut Origins) {
        let sent = self.described.craft();
        let mut frame = sent.frame();
        if let Some(harm) = &self.harm {
            harm.apply(&mut frame);
        }
        let direction = self.described.direction();
        let verdict = origins.cross(&mut frame, &mut host.memory, direction);
        let is_redirected = matches!(verdict, Ok(Verdict::Redirected { .. }));
        let is_whole = self.harm.as_ref().is_none_or(Harm::leaves_bytes);
        if is_whole && is_redirected && direction == Direction::Ingress {
            self.follow(host, origins, &sent, &frame);
        }
    }

    /// The reverse of what the request went through, for its answer and for errors. Two TCP
    /// connections that collide are told apart by more than this knows; else the answer leaves from
    /// the port that the client asked, and goes to the port that it asked from.
    fn follow(&self, host: &mut Host, origins: &mut Origins, sent: &Craft, frame: &Frame) {
        let got = with_ports_of(sent, frame);
        let is_tcp = matches!(sent.transport, Transport::Tcp { .. });
        let wire = flow_of(sent, Direction::Ingress);
        let is_alone = origins.is_alone(&wire);
        if let Some(is_whole) = self.is_reported
            && (is_alone || !is_tcp)
        {
            report::follow(host, origins, sent, &got, Direction::Ingress, is_whole);
        }
        if !self.is_answered {
            return;
        }
        let mut reply = Craft {
            source: got.destination,
            destination: got.source,
            source_port: got.destination_port,
            destination_port: got.source_port,
            transport: match self.described.transport {
                Segment::Opening(sequence) => {
                    let answered = sequence.of(&NUMBERS).wrapping_add(1);
                    common::tcp(craft::SYN | craft::ACK, 500, answered)
                }
                Segment::Tcp { .. } => common::DATA,
                Segment::Udp { .. } => common::UDP,
            },
            fragment: None,
            ..got
        };
        let application = flow_of(&reply, Direction::Egress);
        // An error about what the application says before its SYN-ACK is nobody's.
        let mut is_answered = true;
        if let Transport::Tcp {
            flags, sequence, ..
        } = reply.transport
        {
            // What is known by a SYN is answered by what acknowledges that.
            let mut flows = known(&host.memory, KEY_FLOW, &application.1);
            if let Some(flow) = flows.find(|flow| flow.is_opened()) {
                let acknowledged = flow.opening.wrapping_add(1);
                reply.transport = common::tcp(flags, sequence, acknowledged);
                is_answered = flow.is_answered() || flags & craft::SYN != 0;
            }
        }
        let mut frame = reply.frame();
        let came = origins.came(&application);
        let verdict = origins.cross(&mut frame, &mut host.memory, Direction::Egress);
        let left = with_ports_of(&reply, &frame);
        let ports = (left.destination_port, left.source_port);
        let asked = (sent.source_port, sent.destination_port);
        let is_asked = ports == asked;
        let may_be_other = is_tcp && came.len() > 1 && came.contains(&ports);
        assert!(
            is_asked || may_be_other,
            "{ports:?} instead of {asked:?}, {verdict:?}, {reply:?}"
        );
        if let Some(is_whole) = self.is_reported
            && is_alone
            && is_answered
        {
            report::follow(host, origins, &reply, &left, Direction::Egress, is_whole);
        }
    }
}

/// The packet as it is after the rewrite.
fn with_ports_of(packet: &Craft, frame: &Frame) -> Craft {
    let [source_port, destination_port] =
        [0, 2].map(|at| u16_at(&frame.bytes, packet.transport() + at).expect("a port"));
    Craft {
        source_port,
        destination_port,
        ..packet.clone()
    }
}

fn flow_of(packet: &Craft, direction: Direction) -> Flow {
    let frame = packet.frame();
    let at = locate(&frame).expect("a whole packet");
    flow(&frame, &at, direction)
}

impl Described {
    pub fn direction(&self) -> Direction {
        direction(self.is_outgoing)
    }

    pub fn craft(&self) -> Craft {
        let [client, server] = self.talk.ends();
        let client = (client, self.talk.client_port.of(&CLIENT_PORTS));
        let server = (server, self.port.of(&PORTS));
        let (source, destination) = if self.is_outgoing {
            (server, client)
        } else {
            (client, server)
        };
        let mut craft = Craft::new(source, destination, self.transport.described());
        craft.payload = vec![self.payload; usize::from(self.payload) % LONGEST];
        if let Some(shape) = &self.shape {
            shape.apply(&mut craft);
        }
        craft
    }
}

impl Segment {
    fn described(self) -> Transport {
        match self {
            Self::Opening(sequence) => common::tcp(craft::SYN, sequence.of(&NUMBERS), 0),
            Self::Tcp {
                flags,
                sequence,
                acknowledgment,
            } => common::tcp(flags, sequence.of(&NUMBERS), acknowledgment.of(&NUMBERS)),
            Self::Udp { checksum } => Transport::Udp { checksum },
        }
    }
}

impl Shape {
    fn apply(&self, craft: &mut Craft) {
        let mut envelope = Envelope::new(craft.source, craft.destination);
        self.apply_to(&mut envelope);
        craft.link_layer = envelope.link_layer;
        craft.tags = envelope.tags;
        craft.options = envelope.options;
        craft.extensions = envelope.extensions;
        craft.fragment = envelope.fragment;
    }

    pub fn apply_to(&self, envelope: &mut Envelope) {
        const EXTENSIONS: [u8; 4] = [0, 43, 60, 51];
        envelope.link_layer = link_layer(self.has_ethernet);
        let tags = self.tags.iter().take(3);
        envelope.tags = tags
            .map(|is_service| if *is_service { 0x88a8 } else { 0x8100 })
            .collect();
        envelope.options = vec![1; 4 * (usize::from(self.options) % 11)];
        let extension = |(number, units): &(Pick, u8)| Extension {
            number: number.of(&EXTENSIONS),
            units: units % 8,
        };
        envelope.extensions = self.extensions.iter().take(7).map(extension).collect();
        envelope.fragment = self.fragment.map(|(offset, more)| Fragment {
            offset: offset & 0x1fff,
            more,
        });
    }
}

impl Harm {
    fn leaves_bytes(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none()
    }

    pub fn apply(&self, frame: &mut Frame) {
        frame.other_host = self.other_host;
        for (at, value) in &self.bytes {
            let at = usize::from(*at) % frame.bytes.len();
            frame.bytes[at] = *value;
        }
        if let Some(end) = self.end {
            frame.bytes.truncate(usize::from(end));
        }
    }
}
