//! What a driver's XDP can do, by generic netlink (`Documentation/netlink/specs/netdev.yaml`,
//! `net/core/netdev-genl.c`; Linux 6.3 and newer).

use std::io;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkBuffer, NlasIterator};
use netlink_sys::{Socket, protocols::NETLINK_GENERIC};

/// `include/uapi/linux/genetlink.h`.
const GENL_ID_CTRL: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// `include/uapi/linux/netdev.h`.
const NETDEV_CMD_DEV_GET: u8 = 1;
const NETDEV_A_DEV_IFINDEX: u16 = 1;
const NETDEV_A_DEV_XDP_FEATURES: u16 = 3;

/// `enum netdev_xdp_act`, from bit 0.
const FEATURES: [&str; 7] = [
    "basic",
    "redirect",
    "ndo-xmit",
    "xsk-zerocopy",
    "hw-offload",
    "rx-sg",
    "ndo-xmit-sg",
];

/// What the driver tells, by the names of the kernel's specification; none where it has no native XDP.
pub fn xdp_features(ifindex: u32) -> io::Result<Vec<&'static str>> {
    let mut socket = Socket::new(NETLINK_GENERIC)?;
    socket.bind_auto()?;
    let family = ask(
        &socket,
        GENL_ID_CTRL,
        CTRL_CMD_GETFAMILY,
        (CTRL_ATTR_FAMILY_NAME, b"netdev\0"),
        CTRL_ATTR_FAMILY_ID,
    )?;
    let family = u16::from_ne_bytes(sized(&family)?);
    let features = ask(
        &socket,
        family,
        NETDEV_CMD_DEV_GET,
        (NETDEV_A_DEV_IFINDEX, &ifindex.to_ne_bytes()),
        NETDEV_A_DEV_XDP_FEATURES,
    )?;
    let features = u64::from_ne_bytes(sized(&features)?);
    let named = FEATURES.into_iter().enumerate();
    Ok(named
        .filter(|(bit, _)| features & (1 << bit) != 0)
        .map(|(_, name)| name)
        .collect())
}

/// Sends a request with one attribute, and finds one in the answer.
fn ask(
    socket: &Socket,
    family: u16,
    command: u8,
    (kind, value): (u16, &[u8]),
    wanted: u16,
) -> io::Result<Vec<u8>> {
    const VERSION: u8 = 1;
    const HEADERS: usize = 20;
    const NLMSG_ERROR: u16 = 2;
    let length = HEADERS + 4 + value.len().next_multiple_of(4);
    let mut request = vec![0; length];
    let mut header = NetlinkBuffer::new(&mut request[..]);
    header.set_length(length as u32);
    header.set_message_type(family);
    header.set_flags(NLM_F_REQUEST);
    request[16..18].copy_from_slice(&[command, VERSION]);
    request[20..22].copy_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    request[22..24].copy_from_slice(&kind.to_ne_bytes());
    request[24..24 + value.len()].copy_from_slice(value);
    socket.send(&request, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkBuffer::new_checked(&answer[..]).map_err(io::Error::other)?;
    if answer.message_type() == NLMSG_ERROR {
        let code = answer.payload().get(..4).unwrap_or_default();
        let code = i32::from_ne_bytes(sized(code)?);
        return Err(io::Error::from_raw_os_error(-code));
    }
    let attributes = answer.payload().get(4..).unwrap_or_default();
    NlasIterator::new(attributes)
        .flatten()
        .find(|attribute| attribute.kind() == wanted)
        .map(|attribute| attribute.value().to_vec())
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn sized<const N: usize>(value: &[u8]) -> io::Result<[u8; N]> {
    value.try_into().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before Linux 6.3 there is no such family.
    #[test]
    fn loopback_has_no_native_xdp() {
        match xdp_features(1) {
            Ok(features) => assert_eq!(features, [""; 0]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
        }
    }
}
