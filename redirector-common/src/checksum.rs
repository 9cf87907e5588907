//! The Internet checksum, updated in place.

use crate::abi::{Address, Protocol};

/// `checksum` after a 16-bit field went from `old` to `new` (RFC 1624 equation 3).
///
/// The result can be 0x0000 where a full computation gives 0x0000 too, but never turns a valid
/// checksum into the other zero: ~(~HC + ~m + m') keeps -0 and +0 apart as a sum does.
#[inline(always)]
pub fn update(checksum: [u8; 2], old: [u8; 2], new: [u8; 2]) -> [u8; 2] {
    let mut sum = u32::from(!u16::from_be_bytes(checksum))
        + u32::from(!u16::from_be_bytes(old))
        + u32::from(u16::from_be_bytes(new));
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_be_bytes()
}

/// Like [`update`] for UDP (RFC 768): 0 says "no checksum" and stays, and a computed 0 is sent as
/// 0xffff.
#[inline(always)]
pub fn update_udp(checksum: [u8; 2], old: [u8; 2], new: [u8; 2]) -> [u8; 2] {
    if checksum == [0, 0] {
        return checksum;
    }
    match update(checksum, old, new) {
        [0, 0] => [0xff, 0xff],
        updated => updated,
    }
}

/// What stands in the place of a checksum that a device is still to compute (`CHECKSUM_PARTIAL`): the
/// sum over the pseudo header, which has no port in it. `length` is the transport's, in bytes.
#[inline(always)]
pub fn partial(source: Address, destination: Address, protocol: Protocol, length: u32) -> [u8; 2] {
    // The words of 16 bits add up to the same in pairs, and in either byte order (RFC 1071).
    let mut sum = u64::from(length.to_be()) + u64::from(protocol.number().to_be());
    for address in [source, destination] {
        for word in address.to_be() {
            sum += u64::from(word);
        }
    }
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    (sum as u16).to_ne_bytes()
}
