//! The tables that nf_tables holds, asked of the kernel: where nft is missing there mostly is nothing to read.

use std::os::fd::AsRawFd;

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

use super::ruleset::Family;

// linux/netlink.h, linux/netfilter.h, linux/netfilter/nfnetlink.h and nf_tables.h
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NFT_MSG_GETTABLE: u16 = 10 << 8 | 1;
const NFTA_TABLE_NAME: u16 = 1;
const HEADER: usize = 16;
const ATTRIBUTES: usize = HEADER + 4;

/// `None`: the kernel will not say. Tables of bridges and of ARP are left out.
pub fn nftables() -> Option<Vec<(Family, String)>> {
    match dump() {
        Ok(tables) => Some(tables),
        Err(Errno::EPROTONOSUPPORT | Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::EINVAL) => {
            Some(Vec::new())
        }
        Err(_) => None,
    }
}

fn dump() -> Result<Vec<(Family, String)>, Errno> {
    let protocol = SockProtocol::NetlinkNetFilter;
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?;
    let mut request = Vec::with_capacity(ATTRIBUTES);
    request.extend(20_u32.to_ne_bytes());
    request.extend(NFT_MSG_GETTABLE.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    // Sequence, port, then struct nfgenmsg: every family.
    request.extend([0; 12]);
    send(netlink.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut tables = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = recv(netlink.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = u32_at(rest, 0)
                .and_then(|length| rest.get(..length as usize))
                .ok_or(Errno::EBADMSG)?;
            match u16_at(message, 4).ok_or(Errno::EBADMSG)? {
                NLMSG_DONE => return Ok(tables),
                NLMSG_ERROR => {
                    let error = u32_at(message, HEADER).ok_or(Errno::EBADMSG)?;
                    return Err(Errno::from_raw(error.cast_signed().wrapping_neg()));
                }
                _ => tables.extend(table(message)),
            }
            rest = rest
                .get(padded(message.len()).max(HEADER)..)
                .unwrap_or_default();
        }
    }
}

fn table(message: &[u8]) -> Option<(Family, String)> {
    let family = match message.get(HEADER)? {
        1 => Family::Inet,
        2 => Family::Ip,
        5 => Family::Netdev,
        10 => Family::Ip6,
        _ => return None,
    };
    let mut rest = message.get(ATTRIBUTES..)?;
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        if u16_at(rest, 2)? == NFTA_TABLE_NAME {
            let name = value.strip_suffix(b"\0").unwrap_or(value);
            return Some((family, String::from_utf8_lossy(name).into_owned()));
        }
        rest = rest.get(padded(length)..)?;
    }
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
