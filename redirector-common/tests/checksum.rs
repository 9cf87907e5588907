//! The update of a checksum, for every checksum there is.

use redirector_common::checksum::{update, update_udp};

/// Ports that carry, that do not, and that are the ends of the range.
const PORTS: [u16; 7] = [1, 80, 8000, 0x7fff, 0x8000, 0xfffe, 0xffff];

/// As a ones' complement sum, where 0 and 0xffff are the same number.
fn number(checksum: u16) -> u32 {
    u32::from(!checksum) % 0xffff
}

#[test]
fn every_checksum() {
    let pairs = PORTS.map(|old| PORTS.map(|new| (old, new)));
    for (old, new) in pairs.into_iter().flatten() {
        for checksum in 0..=u16::MAX {
            let words = [checksum, old, new].map(u16::to_be_bytes);
            let updated = u16::from_be_bytes(update(words[0], words[1], words[2]));
            let expected = (number(checksum) + 0xffff - u32::from(old) + u32::from(new)) % 0xffff;
            let what = format_args!("{checksum:#x}, {old} to {new}");
            // RFC 1624 section 3: a sum of something is never the 0 that only zeros add up to.
            assert_ne!(updated, 0xffff, "{what}");
            assert_eq!(number(updated), expected, "{what}");

            let of_udp = u16::from_be_bytes(update_udp(words[0], words[1], words[2]));
            let expected = match (checksum, updated) {
                (0, _) => 0,
                (_, 0) => 0xffff,
                _ => updated,
            };
            assert_eq!(of_udp, expected, "{what}");
        }
    }
}
