//! A packet of a story as frames, and what is wrong with it.

use redirector_common::native::Frame;
use redirector_common::native::craft::{ACK, Craft, Fragment, IcmpError, RST, SYN, Transport};

use super::{FIN, PSH};
use crate::normal;
use crate::random::Random;

/// Bytes of an Ethernet header.
const LINK: usize = 14;

/// One packet. Numbers of the server in it count from the server's first one.
#[derive(Clone, Debug)]
pub struct Step {
    what: What,
    /// Bits to flip, by byte from the network header.
    flips: Vec<(usize, u8)>,
    /// Bytes from the network header on.
    cut: Option<usize>,
    /// The IPv4 header's length and checksum are those of the damaged packet.
    is_mended: bool,
    identification: u16,
}

#[derive(Clone, Debug)]
pub enum What {
    Packet(Craft),
    /// In two fragments, of which the first has so many bytes of payload.
    Halves(Craft, usize),
    Error(IcmpError),
}

/// An acknowledgment of everything that the server has sent.
pub const ALL: u32 = 1;

/// Sequence numbers of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    pub first: Option<u32>,
    pub next: u32,
}

impl Numbers {
    /// Learns from a packet that the server sent.
    pub fn learn(&mut self, packet: &[u8]) {
        let Some((normal::TCP, at)) = normal::transport(packet) else {
            return;
        };
        let tcp = &packet[at..];
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let flags = tcp[13];
        if flags & (SYN | ACK | RST) == SYN | ACK {
            self.first = Some(sequence);
            self.next = sequence.wrapping_add(1);
        } else if flags & RST == 0 && sequence == self.next {
            let length = tcp.len() - usize::from(tcp[12] >> 4) * 4;
            let taken = length as u32 + u32::from(flags & FIN);
            self.next = sequence.wrapping_add(taken);
        }
    }
}

impl Step {
    /// As it is, or damaged.
    pub fn new(what: What, random: &mut Random, identification: u16) -> Self {
        let mut step = Self {
            what,
            flips: Vec::new(),
            cut: None,
            is_mended: random.one_in(2),
            identification,
        };
        step.damage(random);
        step
    }

    /// Frames to and from these MAC addresses, for a server with these numbers.
    pub fn frames(&self, macs: [[u8; 6]; 2], numbers: Numbers) -> Vec<Vec<u8>> {
        let first = numbers.first.unwrap_or(0);
        let absolute = |packet: &Craft, is_quoted: bool| {
            let mut packet = packet.clone();
            if let Transport::Tcp {
                flags,
                sequence,
                acknowledgment,
            } = &mut packet.transport
            {
                if is_quoted {
                    *sequence = sequence.wrapping_add(first);
                } else if *flags & ACK != 0 {
                    *acknowledgment = match *acknowledgment {
                        ALL => numbers.next,
                        some => some.wrapping_add(first),
                    };
                }
            }
            packet
        };
        let frames = match &self.what {
            What::Packet(packet) => vec![absolute(packet, false).frame()],
            What::Halves(packet, at) => halves(&absolute(packet, false), *at),
            What::Error(error) => {
                let quoted = absolute(&error.quoted, true);
                let error = IcmpError {
                    quoted,
                    ..error.clone()
                };
                vec![error.frame()]
            }
        };
        let finish = |(position, frame): (usize, Frame)| {
            let (link, packet) = frame.bytes.split_at(LINK);
            let ethertype = &link[LINK - 2..];
            [
                macs.as_flattened(),
                ethertype,
                &self.finished(packet.to_vec(), position == 0),
            ]
            .concat()
        };
        frames.into_iter().enumerate().map(finish).collect()
    }

    /// Bits are flipped in the first fragment only: a second one would often mend the checksum.
    fn finished(&self, mut packet: Vec<u8>, is_first: bool) -> Vec<u8> {
        // Parts of different datagrams must not meet in the server.
        if packet[0] >> 4 == 4 {
            packet[4..6].copy_from_slice(&self.identification.to_be_bytes());
            mend(&mut packet);
        } else if self.is_fragment() {
            // The header comes right behind that of IPv6.
            packet[46..48].copy_from_slice(&self.identification.to_be_bytes());
        }
        for (at, bits) in self.flips.iter().filter(|_| is_first) {
            if let Some(byte) = packet.get_mut(*at) {
                *byte ^= bits;
            }
        }
        packet.truncate(self.cut.unwrap_or(usize::MAX));
        if self.is_mended && packet.len() >= 20 && packet[0] >> 4 == 4 {
            let length = packet.len() as u16;
            packet[2..4].copy_from_slice(&length.to_be_bytes());
            mend(&mut packet);
        }
        packet
    }

    fn is_fragment(&self) -> bool {
        match &self.what {
            What::Packet(packet) => packet.fragment.is_some(),
            What::Halves(..) => true,
            What::Error(_) => false,
        }
    }

    pub fn is_plain_ack(&self) -> bool {
        let is_ack = |packet: &Craft| matches!(packet.transport, Transport::Tcp { flags, .. } if flags & !PSH == ACK);
        self.whole().is_some_and(is_ack)
    }

    /// One that the server's port answers, without headers that a server could refuse.
    pub fn is_plain_datagram(&self, port: u16) -> bool {
        self.whole().is_some_and(|packet| {
            matches!(packet.transport, Transport::Udp { .. })
                && packet.destination_port == port
                && packet.options.is_empty()
                && packet.extensions.is_empty()
        })
    }

    /// The packet that is sent as it is.
    fn whole(&self) -> Option<&Craft> {
        match &self.what {
            What::Packet(packet) if packet.fragment.is_none() => {
                (self.flips.is_empty() && self.cut.is_none()).then_some(packet)
            }
            _ => None,
        }
    }

    /// Bits of headers but those that each server has its own value for.
    fn damage(&mut self, random: &mut Random) {
        let packet = self.frames([[0; 6]; 2], Numbers::default())[0][LINK..].to_vec();
        let (start, own): (_, &[_]) = match (&self.what, normal::transport(&packet)) {
            (What::Error(error), _) => (error.ports_at() - LINK, &[4..8, 16..18]),
            // And the flags, which the generator chooses, and the client's port: what comes from another
            // is another connection, and the server's numbers are those of one.
            (_, Some((normal::TCP, transport))) => (transport, &[0..2, 8..12, 13..14, 16..18]),
            // Netfilter has no UDP length of 0, with which IPv6 says that the packet's counts (RFC 2675).
            (_, Some((_, transport))) => (transport, std::slice::from_ref(&(4..6))),
            (_, None) => (packet.len(), &[]),
        };
        let is_fragment = self.is_fragment();
        let is_own = |at: usize| match at.checked_sub(start) {
            Some(at) => own.iter().any(|own| own.contains(&at)),
            // Netfilter puts fragments together before anything else looks at them, and one damaged
            // bit can make a fragment.
            None => {
                let says_fragment = packet[0] >> 4 == 4 && (6..8).contains(&at);
                // Of another client, as above.
                let source = if packet[0] >> 4 == 4 { 12..16 } else { 8..24 };
                is_fragment || says_fragment || source.contains(&at) || leads_on(&packet, at)
            }
        };
        match random.below(8) {
            0 => {
                // Two may leave the checksum right. Of an error that makes another message, whose quote
                // the server's numbers are deep in.
                let is_error = matches!(self.what, What::Error(_));
                let flips = if is_error { 1 } else { 1 + random.below(2) };
                for _ in 0..flips {
                    let at = random.below(packet.len().min(start + 20));
                    if !is_own(at) {
                        self.flips.push((at, 1 << random.below(8)));
                    }
                }
            }
            1 => self.cut = Some(1 + random.below(packet.len())),
            // Right for neither server, which one that is mended by chance could be for one.
            2 if own.len() > 1 && !matches!(self.what, What::Halves(..)) => {
                self.flips.push((start + 16, 1 << random.below(8)));
            }
            _ => {}
        }
    }
}

/// Whether a byte of the headers says where the transport header is, or which one. It moves the
/// fields that each server has its own value for. In an error the checksum is one.
fn leads_on(packet: &[u8], at: usize) -> bool {
    let (_, transport) = normal::transport(packet).unwrap_or((0, packet.len()));
    let is_checksum = at.wrapping_sub(transport + 2) < 2;
    let is_length = match packet[0] >> 4 {
        4 => at == 0 || at == 9,
        _ => at == 6 || (40..transport).contains(&at),
    };
    is_checksum || is_length
}

fn halves(packet: &Craft, at: usize) -> Vec<Frame> {
    let (start, rest) = packet.payload.split_at(at);
    let header = match packet.transport {
        Transport::Udp { .. } => 8,
        Transport::Tcp { .. } => 20,
    };
    // All but the last fragment carry a multiple of 8 bytes.
    let start = [start, &rest[..(8 - (header + at) % 8) % 8]].concat();
    let rest = packet.payload[start.len()..].to_vec();
    let first = Craft {
        fragment: Some(Fragment {
            offset: 0,
            more: true,
        }),
        payload: start.clone(),
        beyond: rest.clone(),
        ..packet.clone()
    };
    let second = Craft {
        fragment: Some(Fragment {
            offset: ((header + start.len()) / 8) as u16,
            more: false,
        }),
        payload: rest,
        ..packet.clone()
    };
    vec![first.frame(), second.frame()]
}

/// The checksum of an IPv4 header, as far as there is a header.
fn mend(packet: &mut [u8]) {
    let length = (usize::from(packet[0] & 0xf) * 4).min(packet.len());
    if length < 20 {
        return;
    }
    packet[10..12].fill(0);
    let checksum = !normal::sum(&packet[..length]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
}
