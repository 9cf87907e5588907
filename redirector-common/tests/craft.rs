//! The crafter of errors against bytes worked out by hand.

use std::net::IpAddr;

use redirector_common::native::craft::{ACK, Craft, IcmpError, Transport};

fn error(client: &str, server: &str) -> IcmpError {
    let [client, server]: [IpAddr; 2] = [client, server].map(|text| text.parse().expect("one"));
    let segment = Transport::Tcp {
        flags: ACK,
        sequence: 1,
        acknowledgment: 2,
    };
    IcmpError::port_unreachable(client, Craft::new((server, 80), (client, 40_000), segment))
}

#[test]
fn a_quote_of_eight_bytes() {
    let frame = error("203.0.113.9", "192.0.2.1").frame().bytes;
    let quoted = [
        &[0x45, 0, 0, 47, 0x12, 0x34, 0, 0, 64, 6, 0x6a, 0x8a][..],
        &[192, 0, 2, 1, 203, 0, 113, 9, 0, 80, 0x9c, 0x40, 0, 0, 0, 1],
    ]
    .concat();
    assert_eq!(frame[14 + 9], 1);
    assert_eq!(frame[14 + 20..][..2], [3, 3]);
    assert_eq!(frame[14 + 20 + 4..][..4], [0; 4]);
    assert_eq!(frame[14 + 20 + 8..], quoted);
}

/// RFC 1071: the sum over data with its checksum is 0xffff.
#[test]
fn checksums_are_right() {
    for (client, server) in [("203.0.113.9", "192.0.2.1"), ("2001:db8::9", "2001:db8::1")] {
        for objects in [None, Some(vec![0, 8, 1, 1, 0, 1, 0, 0])] {
            let mut error = error(client, server);
            error.extension = objects.clone();
            let frame = error.frame().bytes;
            let (message, quote) = (error.message_at(), error.quote_at());
            let mut words = frame[message..].to_vec();
            if client.contains(':') {
                words.extend(&frame[14 + 8..14 + 40]);
                words.extend([0, 58]);
                words.extend((frame.len() - message).to_be_bytes());
            }
            assert_eq!(sum(&words), 0xffff, "{client}");
            if objects.is_some() {
                assert_eq!(frame.len(), quote + 128 + 12);
                assert_eq!(sum(&frame[quote + 128..]), 0xffff);
                assert_eq!(
                    frame[message + 4..][..2],
                    if client.contains(':') {
                        [16, 0]
                    } else {
                        [0, 32]
                    }
                );
            }
        }
    }
}

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    match sum % 0xffff {
        0 => 0xffff,
        rest => rest,
    }
}
