//! ICMP errors in every shape that the packet path knows: the port within the quote is found.

mod common;
#[path = "common/errors.rs"]
mod errors;

use common::DATA;
use errors::{
    becomes, crossed, cut, each_changed_error, each_error, each_left_error, stays, stays_bytes, sum,
};
use redirector_common::{
    Direction, LinkLayer, MAX_IPV6_EXTENSIONS,
    native::craft::{Extension, Fragment, IcmpError},
};

#[test]
fn errors_of_every_type_and_code() {
    each_error(|host, error, direction, port| {
        let types = match error.outer.source.is_ipv4() {
            true => &[3, 11, 12][..],
            false => &[1, 2, 3, 4],
        };
        for kind in 0..=u8::MAX {
            for code in [0, 1, 4, 15] {
                let parameter = 0x0000_0514;
                let error = IcmpError {
                    kind,
                    code,
                    parameter,
                    ..error.clone()
                };
                if types.contains(&kind) {
                    becomes(host, &error, direction, port);
                } else {
                    stays(host, &error, direction);
                }
            }
        }
    });
}

/// RFC 792 asks for 8 bytes, RFC 1812 for as much as fits. A quote that ends within the checksum of
/// TCP or behind it, but before the header does, has a test of its own.
#[test]
fn quotes_of_every_length() {
    for length in (8..17).chain(20..32) {
        each_changed_error(|error| cut(error, length));
    }
    for length in 0..4 {
        each_left_error(|error| cut(error, length));
    }
}

/// The checksum is there, but what it covers is not known to be.
#[test]
fn a_quote_that_ends_within_the_tcp_header_keeps_its_checksum() {
    for length in [17, 18, 19] {
        each_error(|host, mut error, direction, port| {
            if error.quoted.transport == DATA {
                cut(&mut error, length);
                let mut expected = errors::with_port(&error, direction, port).frame().bytes;
                let before = error.frame().bytes;
                let [inner, outer] = [error.ports_at() + 16, error.message_at() + 2];
                // What the inner one does not take up, the outer one does.
                let end = expected.len().min(inner + 2);
                expected[inner..end].copy_from_slice(&before[inner..end]);
                let after = crossed(host, &error.frame(), direction);
                expected[outer..][..2].copy_from_slice(&after[outer..][..2]);
                assert_eq!(after, expected);
                assert_eq!(sum(&after[outer - 2..]), sum(&before[outer - 2..]));
            }
        });
    }
}

#[test]
fn extensions_behind_the_quote() {
    for length in [20, 27, 100, 200] {
        each_changed_error(|error| {
            error.quoted.payload.resize(150, 0x5a);
            cut(error, length);
            // An MPLS label stack (RFC 4950).
            error.extension = Some(vec![0, 8, 1, 1, 0x12, 0x34, 0x51, 1]);
        });
    }
}

/// Of the 128 bytes that a quote with extensions has at least, 112 are before the TCP header.
const LONG: [Extension; 1] = [Extension {
    number: 60,
    units: 8,
}];

/// Behind the datagram; a quote of 8 bytes has no TCP checksum, whatever follows it.
#[test]
fn padding_is_no_quote() {
    each_error(|host, error, direction, port| {
        let [before, expected] =
            [&error, &errors::with_port(&error, direction, port)].map(|error| {
                let mut frame = error.frame();
                frame.bytes.resize(frame.bytes.len() + 40, 0x5a);
                frame
            });
        assert_eq!(crossed(host, &before, direction), expected.bytes);
    });
}

/// The chain of headers leaves 16 bytes for TCP's; what would be its checksum is extension.
#[test]
fn extensions_within_the_tcp_header() {
    each_error(|host, mut error, direction, port| {
        if error.quoted.transport == DATA && !error.outer.source.is_ipv4() {
            error.quoted.extensions = LONG.to_vec();
            cut(&mut error, 16);
            error.extension = Some(vec![0, 8, 1, 1, 0x12, 0x34, 0x51, 1]);
            becomes(host, &error, direction, port);
        }
    });
}

/// The MTU and the pointer of IPv6 are where other types have the length.
#[test]
fn numbers_that_are_no_length() {
    for kind in [2, 4] {
        each_changed_error(|error| {
            if !error.outer.source.is_ipv4() {
                error.kind = kind;
                error.parameter = u32::from_be_bytes([128 / 8, 0, 0, 0]);
                error.quoted.extensions = LONG.to_vec();
                error.quote_length = usize::MAX;
            }
        });
    }
}

/// RFC 4884 has no quote shorter than 128 bytes, and old senders have anything in that byte.
#[test]
fn lengths_that_cannot_be() {
    for length in 1..16_u32 {
        each_changed_error(|error| {
            error.quoted.payload.resize(150, 0x5a);
            error.quote_length = usize::MAX;
            error.parameter = match error.outer.source.is_ipv4() {
                true => length << 17,
                false => length << 24,
            };
        });
    }
}

#[test]
fn tags_and_no_link_layer() {
    for tags in [&[0x8100][..], &[0x88a8, 0x8100], &[0x8100, 0x8100]] {
        each_changed_error(|error| error.outer.tags = tags.to_vec());
    }
    each_left_error(|error| error.outer.tags = vec![0x88a8, 0x8100, 0x8100]);
    each_changed_error(|error| error.outer.link_layer = LinkLayer::None);
    // The quoted packet may have had other ones.
    each_changed_error(|error| {
        error.quoted.tags = vec![0x8100];
        cut(error, 20);
    });
}

#[test]
fn options_without_and_within_the_quote() {
    for length in (0..=40).step_by(4) {
        for quoted in [0, 4, 40] {
            each_changed_error(|error| {
                error.outer.options = vec![1; length];
                error.quoted.options = vec![1; quoted];
                cut(error, 8);
            });
        }
    }
}

#[test]
fn extension_headers_up_to_the_bound() {
    for number in [0, 43, 60] {
        for count in 0..=MAX_IPV6_EXTENSIONS + 1 {
            for is_outer in [false, true] {
                each_error(|host, mut error, direction, port| {
                    let units = count as u8;
                    let chain = vec![Extension { number, units }; count];
                    if is_outer {
                        error.outer.extensions = chain;
                    } else {
                        error.quoted.extensions = chain;
                    }
                    cut(&mut error, 8);
                    if count <= MAX_IPV6_EXTENSIONS || error.outer.source.is_ipv4() {
                        becomes(host, &error, direction, port);
                    } else {
                        stays(host, &error, direction);
                    }
                });
            }
        }
    }
}

#[test]
fn fragments() {
    for (offset, more) in [
        (0, false),
        (0, true),
        (1, true),
        (1, false),
        (0x1fff, false),
    ] {
        let fragment = Some(Fragment { offset, more });
        each_error(|host, mut error, direction, port| {
            error.quoted.fragment = fragment;
            error.quoted.beyond = if more { vec![7; 99] } else { Vec::new() };
            cut(&mut error, 20);
            if offset == 0 {
                becomes(host, &error, direction, port);
            } else {
                // Where the ports would be stand some that would match.
                error.quoted.payload = with_ports(&error);
                stays(host, &error, direction);
            }
        });
        if offset != 0 {
            each_left_error(|error| error.outer.fragment = fragment);
        }
    }
}

/// Whoever sends it: an error goes to whom it is about.
#[test]
fn others_are_told_nothing() {
    each_left_error(|error| {
        error.outer.destination = match error.outer.destination.is_ipv4() {
            true => "198.51.100.1".parse().expect("an address"),
            false => "2001:db8:77::1".parse().expect("an address"),
        };
    });
}

fn with_ports(error: &IcmpError) -> Vec<u8> {
    let ports = [error.quoted.source_port, error.quoted.destination_port];
    let mut payload: Vec<u8> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
    payload.resize(24, 0);
    payload
}

#[test]
fn routers_report_too() {
    each_error(|host, mut error, direction, port| {
        if direction == Direction::Ingress {
            error.outer.source = match error.outer.source.is_ipv4() {
                true => "198.51.100.1".parse().expect("an address"),
                false => "2001:db8:77::1".parse().expect("an address"),
            };
            becomes(host, &error, direction, port);
        }
    });
}

#[test]
fn quotes_of_something_else() {
    each_error(|host, error, direction, _| {
        let (protocol, version) = match error.outer.source.is_ipv4() {
            true => (9, 0x65),
            false => (6, 0x40),
        };
        for (at, value) in [(protocol, 132), (protocol, 1), (protocol, 58), (0, version)] {
            let mut frame = error.frame();
            frame.bytes[error.quote_at() + at] = value;
            stays_bytes(host, &frame, direction);
        }
    });
}
