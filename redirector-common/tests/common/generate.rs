//! Strategies for packets.

use std::net::IpAddr;

use proptest::{collection::vec, prelude::*, sample::select};
use redirector_common::{
    LinkLayer, MAX_IPV6_EXTENSIONS,
    native::craft::{Craft, Extension, Fragment, Transport},
};

pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any packet whose ports the packet path finds.
pub fn packet() -> impl Strategy<Value = Craft> {
    (
        (link(), addresses(), any::<[u16; 2]>(), transport()),
        (
            vec(any::<[u8; 4]>(), 0..=10),
            vec(extension(), 0..MAX_IPV6_EXTENSIONS),
            prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(first_fragment)],
        ),
        (
            any::<u8>(),
            vec(any::<u8>(), 0..80),
            vec(any::<u8>(), 0..80),
        ),
    )
        .prop_map(
            |(
                (
                    (link_layer, tags),
                    [source, destination],
                    [source_port, destination_port],
                    transport,
                ),
                (options, extensions, fragment),
                (traffic_class, payload, beyond),
            )| {
                let is_first = fragment.is_some_and(|fragment| fragment.more);
                // All but the last fragment carry a multiple of 8 bytes.
                let whole = payload.len() & !7;
                Craft {
                    link_layer,
                    tags,
                    source,
                    destination,
                    source_port,
                    destination_port,
                    transport,
                    options: options.concat(),
                    extensions,
                    fragment,
                    traffic_class,
                    payload: if is_first {
                        payload[..whole].to_vec()
                    } else {
                        payload
                    },
                    beyond: if is_first { beyond } else { Vec::new() },
                }
            },
        )
}

pub fn extension() -> impl Strategy<Value = Extension> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let units = prop_oneof![8 => 0..4_u8, 1 => any::<u8>()];
    (select(&[HOP_BY_HOP, ROUTING, DESTINATION][..]), units)
        .prop_map(|(number, units)| Extension { number, units })
}

fn first_fragment(more: bool) -> Option<Fragment> {
    Some(Fragment { offset: 0, more })
}

fn link() -> impl Strategy<Value = (LinkLayer, Vec<u16>)> {
    const TPIDS: [u16; 2] = [0x8100, 0x88a8];
    prop_oneof![
        3 => vec(select(&TPIDS[..]), 0..=2).prop_map(|tags| (LinkLayer::Ethernet, tags)),
        1 => Just((LinkLayer::None, Vec::new())),
    ]
}

fn addresses() -> impl Strategy<Value = [IpAddr; 2]> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|both| both.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|both| both.map(IpAddr::from)),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![
        any::<(u8, u32, u32)>().prop_map(|(flags, sequence, acknowledgment)| Transport::Tcp {
            flags,
            sequence,
            acknowledgment,
        }),
        any::<bool>().prop_map(|checksum| Transport::Udp { checksum }),
    ]
}
