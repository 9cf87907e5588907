//! Whether nf_tables holds anything, asked of the kernel: where nft is not installed there mostly is nothing to read.

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};
use std::os::fd::AsRawFd;

// linux/netlink.h and linux/netfilter/nfnetlink.h, nf_tables.h
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NFT_MSG_GETTABLE: u16 = 10 << 8 | 1;
const HEADER: usize = 16;

/// `None`: the kernel will not say.
pub fn has_nftables() -> Option<bool> {
    match first_reply() {
        Ok((NLMSG_DONE, _)) => Some(false),
        Ok((NLMSG_ERROR, error)) => without_nftables(Errno::from_raw(-error)),
        Ok(_) => Some(true),
        Err(errno) => without_nftables(errno),
    }
}

const fn without_nftables(errno: Errno) -> Option<bool> {
    match errno {
        Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::EINVAL => {
            Some(false)
        }
        _ => None,
    }
}

/// The reply's type, and the error number where it is an error.
fn first_reply() -> Result<(u16, i32), Errno> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let mut request = Vec::with_capacity(HEADER + 4);
    request.extend(20_u32.to_ne_bytes());
    request.extend(NFT_MSG_GETTABLE.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    // Sequence, port, then struct nfgenmsg: every family.
    request.extend([0; 12]);
    send(netlink.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut reply = [0; 8192];
    let length = recv(netlink.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    let reply = &reply[..length];
    let kind = reply
        .get(4..6)
        .and_then(|b| b.try_into().ok())
        .map(u16::from_ne_bytes)
        .ok_or(Errno::EBADMSG)?;
    let error = reply
        .get(HEADER..HEADER + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, i32::from_ne_bytes);
    Ok((kind, error))
}
