//! A packet from the pools, its headers as rare as they get, damaged or whole.

use arbitrary::Arbitrary;
use redirector_common::{
    Direction, Verdict,
    native::{
        Frame,
        craft::{self, Craft, Extension, Fragment, Transport},
    },
};

use super::{
    CLIENT_PORTS, PORTS, Pick, Talk, direction, link_layer,
    origins::{Origins, flow},
};
use crate::common::{
    self, Host,
    locate::{UDP, locate, u16_at},
};

const NUMBERS: [u32; 4] = [1000, 1001, 0, u32::MAX];

const LONGEST: usize = 200;

#[derive(Arbitrary, Debug)]
pub struct Packet {
    talk: Talk,
    port: Pick,
    is_outgoing: bool,
    transport: Segment,
    shape: Option<Shape>,
    harm: Option<Harm>,
    payload: u8,
    is_answered: bool,
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
struct Shape {
    has_ethernet: bool,
    tags: Vec<bool>,
    options: u8,
    extensions: Vec<(Pick, u8)>,
    fragment: Option<(u16, bool)>,
}

#[derive(Arbitrary, Debug)]
struct Harm {
    bytes: Vec<(u16, u8)>,
    end: Option<u16>,
    other_host: bool,
}

impl Packet {
    pub fn cross(&self, host: &mut Host, origins: &mut Origins) {
        let mut frame = self.craft().frame();
        if let Some(harm) = &self.harm {
            harm.apply(&mut frame);
        }
        let before = locate(&frame).and_then(|at| u16_at(&frame.bytes, at.transport + 2));
        let direction = direction(self.is_outgoing);
        let verdict = origins.cross(&mut frame, &mut host.memory, direction);
        let is_redirected = matches!(verdict, Ok(Verdict::Redirected { .. }));
        let is_whole = self.harm.as_ref().is_none_or(Harm::leaves_bytes);
        if is_whole && is_redirected && self.is_answered && direction == Direction::Ingress {
            self.answer(host, origins, &frame, before.expect("a port"));
        }
    }

    /// The reverse of what the request went through. Two TCP connections through two wire ports
    /// collide; else the reply leaves from the one that the client asked.
    fn answer(&self, host: &mut Host, origins: &mut Origins, request: &Frame, asked: u16) {
        let request_at = locate(request).expect("it was redirected");
        let port = u16_at(&request.bytes, request_at.transport + 2).expect("a port");
        let request = self.craft();
        let reply = Craft {
            source: request.destination,
            destination: request.source,
            source_port: port,
            destination_port: request.source_port,
            transport: match self.transport {
                Segment::Opening(_) => common::SYN_ACK,
                Segment::Tcp { .. } => common::DATA,
                Segment::Udp { .. } => common::UDP,
            },
            fragment: None,
            ..request
        };
        let mut frame = reply.frame();
        let at = locate(&frame).expect("a whole packet");
        let came = origins.of(&flow(&frame, &at, Direction::Egress));
        let verdict = origins.cross(&mut frame, &mut host.memory, Direction::Egress);
        let left = u16_at(&frame.bytes, at.transport).expect("a port");
        let is_alone = came.len() == 1 || at.protocol == UDP;
        assert!(
            left == asked || !is_alone && came.contains(&left),
            "{left} instead of {asked}, {verdict:?}, {reply:?}"
        );
    }

    fn craft(&self) -> Craft {
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
        const EXTENSIONS: [u8; 4] = [0, 43, 60, 51];
        craft.link_layer = link_layer(self.has_ethernet);
        let tags = self.tags.iter().take(3);
        craft.tags = tags
            .map(|is_service| if *is_service { 0x88a8 } else { 0x8100 })
            .collect();
        craft.options = vec![1; 4 * (usize::from(self.options) % 11)];
        let extension = |(number, units): &(Pick, u8)| Extension {
            number: number.of(&EXTENSIONS),
            units: units % 8,
        };
        craft.extensions = self.extensions.iter().take(7).map(extension).collect();
        craft.fragment = self.fragment.map(|(offset, more)| Fragment {
            offset: offset & 0x1fff,
            more,
        });
    }
}

impl Harm {
    fn leaves_bytes(&self) -> bool {
        self.bytes.is_empty() && self.end.is_none()
    }

    fn apply(&self, frame: &mut Frame) {
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
