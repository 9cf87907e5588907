//! What holds for every error.

mod common;
#[path = "common/errors.rs"]
mod errors;
#[path = "common/generate.rs"]
mod generate;

use std::net::IpAddr;

use common::Host;
use errors::{BOTH, crossed, ports, server_port, sum, with_port};
use proptest::{collection::vec, prelude::*, sample::Index};
use redirector_common::{
    Direction, MAX_IPV6_EXTENSIONS,
    native::craft::{Craft, Extension, IcmpError, Transport},
};

/// A host that has received the packet, to port 80, and answered it, and an error about it or about an answer.
fn reported(request: Craft, outer: Outer, direction: Direction) -> (Host, IcmpError) {
    let request = Craft {
        destination_port: 80,
        ..request
    };
    let mut host = Host::with(&[(80, 8000)]);
    assert_eq!(host.receive(&request), Ok(Some(8000)));
    host.is_answering();
    let mut quoted = match direction {
        Direction::Egress => request,
        Direction::Ingress => Craft {
            source: request.destination,
            destination: request.source,
            source_port: request.destination_port,
            destination_port: request.source_port,
            ..request
        },
    };
    *server_port(&mut quoted, direction) = ports(direction)[0];
    let mut error = IcmpError::port_unreachable(quoted.destination, quoted);
    let types = match error.outer.source {
        IpAddr::V4(_) => &[3, 11, 12][..],
        IpAddr::V6(_) => &[1, 2, 3, 4],
    };
    error.kind = types[outer.kind.index(types.len())];
    error.code = outer.code;
    error.parameter = outer.parameter;
    error.outer.link_layer = error.quoted.link_layer;
    error.outer.tags = error.quoted.tags.clone();
    error.outer.options = outer.options.concat();
    error.outer.extensions = outer.extensions;
    error.outer.traffic_class = outer.traffic_class;
    let whole = error.quoted.frame().bytes.len() - error.quoted.network();
    let shortest = error.quote_length;
    error.quote_length = shortest + outer.length.index(whole - shortest + 1);
    if let Transport::Tcp { .. } = error.quoted.transport {
        // What a quote does that ends between the checksum and the end of the header, or that is
        // padded there, is not what a sender of the other port would have done.
        let header = shortest + 12;
        if outer.objects.is_some() || error.quote_length >= header - 3 {
            error.quote_length = error.quote_length.max(header);
        }
    }
    // A longer quote's length does not fit the byte that RFC 4884 gives it.
    let longest = if error.outer.source.is_ipv4() { 4 } else { 8 } * 255;
    error.extension = outer.objects.filter(|_| error.quote_length <= longest);
    (host, error)
}

#[derive(Clone, Debug)]
struct Outer {
    kind: Index,
    code: u8,
    parameter: u32,
    length: Index,
    options: Vec<[u8; 4]>,
    extensions: Vec<Extension>,
    traffic_class: u8,
    objects: Option<Vec<u8>>,
}

fn outer() -> impl Strategy<Value = Outer> {
    (
        any::<(Index, u8, u16, Index, u8)>(),
        vec(any::<[u8; 4]>(), 0..=10),
        vec(generate::extension(), 0..=MAX_IPV6_EXTENSIONS),
        proptest::option::of(vec(any::<u8>(), 0..40)),
    )
        .prop_map(
            |((kind, code, parameter, length, traffic_class), options, extensions, objects)| {
                Outer {
                    kind,
                    code,
                    parameter: u32::from(parameter),
                    length,
                    options,
                    extensions,
                    traffic_class,
                    objects,
                }
            },
        )
}

fn direction() -> impl Strategy<Value = Direction> {
    proptest::sample::select(&BOTH[..])
}

proptest! {
    #![proptest_config(generate::config(1000))]

    #[test]
    fn it_is_the_error_about_the_other_port(
        packet in generate::packet(),
        outer in outer(),
        direction in direction(),
    ) {
        let (mut host, error) = reported(packet, outer, direction);
        let expected = with_port(&error, direction, ports(direction)[1]).frame().bytes;
        prop_assert_eq!(crossed(&mut host, &error.frame(), direction), expected);
    }

    #[test]
    fn nobody_reads_of_unknown_flows(
        packet in generate::packet(),
        outer in outer(),
        direction in direction(),
        other_port: u16,
    ) {
        let (mut host, mut error) = reported(packet, outer, direction);
        match direction {
            Direction::Ingress => error.quoted.destination_port ^= other_port.max(1),
            Direction::Egress => error.quoted.source_port ^= other_port.max(1),
        }
        let before = error.frame();
        prop_assert_eq!(crossed(&mut host, &before, direction), before.bytes);
    }

    /// Whatever the checksums were (a sender may have left the inner one to its card), the outer one
    /// is as right or wrong as before, and of the two exactly one changes.
    #[test]
    fn checksums_stay_as_right_as_they_were(
        packet in generate::packet(),
        outer in outer(),
        direction in direction(),
        checksums in any::<[[u8; 2]; 2]>(),
    ) {
        let (mut host, error) = reported(packet, outer, direction);
        let (inner_at, is_quoted, zero_is_none) = match error.quoted.transport {
            Transport::Tcp { .. } => (
                error.ports_at() + 16,
                error.quote_length >= 20 + error.ports_at() - error.quote_at(),
                false,
            ),
            Transport::Udp { checksum } => (error.ports_at() + 6, checksum, true),
        };
        let has_inner = is_quoted && !(zero_is_none && checksums[0] == [0, 0]);
        let outer_at = error.message_at() + 2;
        let mut before = error.frame();
        if is_quoted {
            before.bytes[inner_at..][..2].copy_from_slice(&checksums[0]);
        }
        before.bytes[outer_at..][..2].copy_from_slice(&checksums[1]);
        let after = crossed(&mut host, &before, direction);
        let at = error.message_at();
        prop_assert_eq!(sum(&after[at..]), sum(&before.bytes[at..]));
        let port_at = error.ports_at() + if direction == Direction::Ingress { 0 } else { 2 };
        prop_assert_eq!(&after[port_at..][..2], &ports(direction)[1].to_be_bytes()[..]);
        let checksum_at = if has_inner { inner_at } else { outer_at };
        let mut expected = before.bytes.clone();
        for field in [port_at, checksum_at] {
            expected[field..][..2].copy_from_slice(&after[field..][..2]);
        }
        prop_assert_eq!(after, expected);
    }

    /// No more than a port and a checksum changes, however broken the error is.
    #[test]
    fn damaged_errors_go_through(
        packet in generate::packet(),
        outer in outer(),
        direction in direction(),
        damage in vec(any::<(Index, u8)>(), 0..4),
        end in any::<Index>(),
        is_cut: bool,
    ) {
        let (mut host, error) = reported(packet, outer, direction);
        let mut before = error.frame();
        let headers = before.bytes.len().min(error.ports_at() + 20);
        for (at, value) in damage {
            before.bytes[at.index(headers)] = value;
        }
        if is_cut {
            before.bytes.truncate(end.index(headers));
        }
        let after = crossed(&mut host, &before, direction);
        prop_assert_eq!(after.len(), before.bytes.len());
        let changed = after.iter().zip(&before.bytes).filter(|(after, before)| after != before);
        prop_assert!(changed.count() <= 4);
    }
}
