//! Where the ports are, and where the parser stops looking.

mod common;

use std::net::IpAddr;

use common::{Crossing, Host, OPENING, UDP, each_family};
use redirector_common::{
    LinkLayer, MAX_IPV6_EXTENSIONS, Skip,
    native::{
        Frame,
        craft::{Craft, Extension, Fragment},
    },
    parse,
};

const REDIRECTED: Crossing = Ok(Some(8000));

fn receive(packet: &Craft) -> Crossing {
    Host::with(&[(80, 8000)]).receive(packet)
}

fn each_packet(check: impl Fn(Craft)) {
    each_family(|talk| {
        for transport in [OPENING, UDP] {
            check(talk.to(80, transport));
        }
    });
}

#[test]
fn up_to_two_vlan_tags() {
    for (tags, expected) in [
        (&[][..], REDIRECTED),
        (&[0x8100], REDIRECTED),
        (&[0x88a8, 0x8100], REDIRECTED),
        (&[0x8100, 0x8100], REDIRECTED),
        (&[0x88a8, 0x8100, 0x8100], Ok(None)),
        (&[0x9100], Ok(None)),
    ] {
        each_packet(|packet| {
            let tags = tags.to_vec();
            assert_eq!(receive(&Craft { tags, ..packet }), expected);
        });
    }
}

#[test]
fn no_link_layer() {
    each_packet(|packet| {
        let link_layer = LinkLayer::None;
        assert_eq!(
            receive(&Craft {
                link_layer,
                ..packet
            }),
            REDIRECTED
        );
    });
}

#[test]
fn any_length_of_ipv4_options() {
    for length in (0..=40).step_by(4) {
        each_packet(|packet| {
            let options = vec![1; length];
            assert_eq!(receive(&Craft { options, ..packet }), REDIRECTED);
        });
    }
}

#[test]
fn extension_headers_up_to_the_bound() {
    for number in [0, 43, 60] {
        for count in 0..=MAX_IPV6_EXTENSIONS + 2 {
            for is_fragment in [false, true] {
                each_packet(|packet| {
                    let fits = count + usize::from(is_fragment) <= MAX_IPV6_EXTENSIONS;
                    let expected = if fits || packet.source.is_ipv4() {
                        REDIRECTED
                    } else {
                        Ok(None)
                    };
                    let units = count as u8;
                    let fragment = Fragment {
                        offset: 0,
                        more: true,
                    };
                    let packet = Craft {
                        extensions: vec![Extension { number, units }; count],
                        fragment: is_fragment.then_some(fragment),
                        ..packet
                    };
                    assert_eq!(receive(&packet), expected, "{packet:?}");
                });
            }
        }
    }
}

/// The longest chain there can be, which sets how far a packet path must be able to read.
#[test]
fn the_longest_chain() {
    each_packet(|packet| {
        let extension = Extension {
            number: 60,
            units: 255,
        };
        let packet = Craft {
            tags: vec![0x88a8, 0x8100],
            extensions: vec![extension; MAX_IPV6_EXTENSIONS],
            ..packet
        };
        assert_eq!(receive(&packet), REDIRECTED);
    });
}

/// AH, ESP, Mobility, HIP, Shim6, none.
#[test]
fn other_headers_are_not_followed() {
    for number in [51, 50, 135, 139, 140, 59] {
        each_packet(|packet| {
            if packet.source.is_ipv6() {
                let extensions = vec![Extension { number, units: 1 }];
                assert_eq!(
                    receive(&Craft {
                        extensions,
                        ..packet
                    }),
                    Ok(None)
                );
            }
        });
    }
}

#[test]
fn only_a_first_fragment_has_ports() {
    for (offset, more, expected) in [
        (0, false, REDIRECTED),
        (0, true, REDIRECTED),
        (1, true, Err(Skip::Fragment)),
        (1, false, Err(Skip::Fragment)),
        (0x1000, true, Err(Skip::Fragment)),
        (0x1fff, false, Err(Skip::Fragment)),
    ] {
        each_packet(|packet| {
            let fragment = Some(Fragment { offset, more });
            let beyond = if more { vec![7; 99] } else { Vec::new() };
            let payload = vec![5; 24];
            let packet = Craft {
                fragment,
                beyond,
                payload,
                ..packet
            };
            assert_eq!(receive(&packet), expected, "{packet:?}");
        });
    }
}

#[test]
fn headers_that_contradict_themselves() {
    let break_at = |packet: &Craft, at: usize, value: u8| {
        let mut frame = packet.frame();
        frame.bytes[packet.network() + at] = value;
        parse(&frame)
    };
    each_packet(|packet| match packet.source {
        IpAddr::V4(_) => {
            for version_and_length in [0x44, 0x40, 0x55, 0x65, 0x4f] {
                let parsed = break_at(&packet, 0, version_and_length);
                assert_eq!(parsed, Err(Skip::Malformed), "{version_and_length:#x}");
            }
        }
        IpAddr::V6(_) => {
            for version in [0x40, 0x50, 0x70] {
                assert_eq!(break_at(&packet, 0, version), Err(Skip::Malformed));
            }
        }
    });
}

#[test]
fn other_protocols_are_unrelated() {
    let arp = [&[0xff; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    assert_eq!(parse(&Frame::ethernet(arp)), Ok(None));
    each_packet(|packet| {
        let mut frame = packet.frame();
        let at = packet.network() + if packet.source.is_ipv4() { 9 } else { 6 };
        frame.bytes[at] = 132;
        assert_eq!(parse(&frame), Ok(None));
    });
}

/// What lies beyond the datagram's own end is padding, and no transport header.
#[test]
fn a_datagram_that_ends_early_has_no_ports() {
    each_packet(|packet| {
        let header = if packet.protocol_number() == 6 { 20 } else { 8 };
        let (at, before) = match packet.source {
            IpAddr::V4(_) => (packet.network() + 2, 20),
            IpAddr::V6(_) => (packet.network() + 4, 0),
        };
        for (length, expected) in [(header - 1, Err(Skip::Malformed)), (header, Ok(()))] {
            let mut frame = packet.frame();
            let length = (before + length) as u16;
            frame.bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
            assert_eq!(parse(&frame).map(|_| ()), expected, "{length}");
        }
    });
}

/// A super-packet is longer than its IP header can say, and has 0 there.
#[test]
fn a_length_of_0_is_the_packets_own() {
    each_packet(|packet| {
        let mut frame = packet.frame();
        let at = packet.network() + if packet.source.is_ipv4() { 2 } else { 4 };
        frame.bytes[at..at + 2].fill(0);
        let segment = parse(&frame).expect("well-formed").expect("it has ports");
        assert_eq!(segment.bytes as usize, frame.bytes.len() - packet.network());
    });
}

/// TCP's options lie between its header and its payload.
#[test]
fn options_are_no_payload() {
    each_family(|talk| {
        let packet = Craft {
            payload: vec![1; 12],
            ..talk.to(80, OPENING)
        };
        for (words, expected) in [(5, true), (7, true), (8, false)] {
            let mut frame = packet.frame();
            frame.bytes[packet.transport() + 12] = words << 4;
            let segment = parse(&frame).expect("well-formed").expect("it has ports");
            assert_eq!(segment.has_payload(), expected);
        }
    });
}
