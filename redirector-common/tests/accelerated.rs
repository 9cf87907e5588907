//! A program that sees packets before another does: it leaves to that one what it cannot do itself.

mod common;

use std::net::IpAddr;

use bytemuck::Pod;
use common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, UDP, each_family};
use redirector_common::{
    Checksum, Direction, LinkLayer, Packet, Segment, Skip, Verdict, is_unfinished,
    native::{
        Frame,
        craft::{Craft, Transport},
    },
    parse, redirect,
};

/// A packet that must not be written here.
struct Reserved(Frame);

impl Packet for Reserved {
    fn link_layer(&self) -> LinkLayer {
        self.0.link_layer()
    }

    fn is_other_host(&self) -> bool {
        self.0.is_other_host()
    }

    fn mark(&self) -> u32 {
        self.0.mark()
    }

    fn set_mark(&mut self, _mark: u32) {
        unreachable!("nobody may write")
    }

    fn length(&self) -> usize {
        self.0.length()
    }

    fn rare_header<T: Pod>(&self, offset: usize) -> Result<T, Skip> {
        self.0.rare_header(offset)
    }

    fn claim(&mut self, _segment: &Segment) -> bool {
        false
    }

    fn replace_u16(
        &mut self,
        _offset: usize,
        _old: [u8; 2],
        _new: [u8; 2],
        _checksum: Checksum,
    ) -> Result<(), Skip> {
        unreachable!("nobody may write")
    }
}

#[test]
fn what_is_not_claimed_is_neither_written_nor_counted() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        host.has_socket(&talk, 8000, CONNECTED);
        let before = host.memory.counters.clone();
        let mut packet = Reserved(talk.to(80, FINAL_ACK).frame());
        let verdict = redirect(&mut packet, &mut host.memory, Direction::Ingress);
        assert_eq!(verdict, Ok(Verdict::Unrelated));
        let counted = |host: &Host| host.memory.counters[&0].in_packets;
        assert_eq!(counted(&host), before[&0].in_packets);
        // The connection is known all the same, and the next program goes on.
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.connections(), 1);
    });
}

#[test]
fn a_checksum_without_the_ports_is_unfinished() {
    each_family(|talk| {
        for (transport, at) in [(DATA, 16), (UDP, 6)] {
            for size in [0, 1, 7, 1400] {
                let packet = Craft {
                    payload: vec![0x5a; size],
                    ..talk.to(80, transport)
                };
                let mut frame = packet.frame();
                assert!(!is(&frame), "{packet:?}");
                let place = packet.transport() + at;
                frame.bytes[place..][..2].copy_from_slice(&of_pseudo_header(&packet));
                assert!(is(&frame), "{packet:?}");
            }
        }
        let none = Transport::Udp { checksum: false };
        assert!(!is(&talk.to(80, none).frame()));
    });
}

fn is(frame: &Frame) -> bool {
    let segment = parse(frame)
        .expect("a packet with ports")
        .expect("TCP or UDP");
    is_unfinished(frame, &segment).expect("its headers")
}

/// RFC 9293 section 3.1, RFC 8200 section 8.1: added up byte by byte.
fn of_pseudo_header(packet: &Craft) -> [u8; 2] {
    let mut bytes = Vec::new();
    for address in [packet.source, packet.destination] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    let length = packet.frame().bytes.len() - packet.transport();
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend([0, 0, 0, packet.protocol_number()]);
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum as u16).to_be_bytes()
}
