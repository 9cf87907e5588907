//! TCP connections of this network namespace, each with what a map keeps on its socket
//! (`net/ipv4/inet_diag.c`, `net/core/bpf_sk_storage.c`; Linux 5.7 and newer).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use bytemuck::{Pod, Zeroable};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NlasIterator};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};
use redirector_common::abi::{Address, FlowKey, KEY_FLOW, Port, Protocol};

/// `include/uapi/linux/sock_diag.h`, `include/uapi/linux/inet_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_REQ_SK_BPF_STORAGES: u16 = 2;
const INET_DIAG_SK_BPF_STORAGES: u16 = 20;
const SK_DIAG_BPF_STORAGE_REQ_MAP_FD: u16 = 1;
const SK_DIAG_BPF_STORAGE: u16 = 1;
const SK_DIAG_BPF_STORAGE_MAP_VALUE: u16 = 3;
/// `include/uapi/linux/netlink.h`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;

/// Bits by the numbers of `include/net/tcp_states.h`.
const TIME_WAIT: u32 = 1 << 6;
const CLOSE: u32 = 1 << 7;
const LISTEN: u32 = 1 << 10;
const EVERY_STATE: u32 = (1 << 13) - 1;

/// One end of what was established or is about to be, as the application has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<T> {
    /// That of its flow, if it was redirected.
    pub key: FlowKey,
    /// What the map keeps on the socket.
    pub stored: Option<T>,
}

/// `struct inet_diag_sockid`, in network byte order but for the interface.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Id {
    source_port: u16,
    destination_port: u16,
    source: [u8; 16],
    destination: [u8; 16],
    ifindex: u32,
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Request {
    family: u8,
    protocol: u8,
    extensions: u8,
    padding: u8,
    states: u32,
    id: Id,
}

/// `struct inet_diag_msg`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Message {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    id: Id,
    /// Timer, queues, user and inode.
    rest: [u32; 5],
}

/// Of the calling thread's network namespace; listeners and what only waits for stray packets left out. Asking
/// for what a map keeps takes CAP_BPF.
pub fn connections<T: Pod>(storage: Option<BorrowedFd<'_>>) -> io::Result<Vec<Connection<T>>> {
    let mut found = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(family as u8, storage, &mut found)?;
    }
    Ok(found)
}

fn dump<T: Pod>(
    family: u8,
    storage: Option<BorrowedFd<'_>>,
    found: &mut Vec<Connection<T>>,
) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.send(&request(family, storage), 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let answer = NetlinkBuffer::new_checked(rest).map_err(io::Error::other)?;
            let payload = answer.payload();
            match answer.message_type() {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = payload.get(..4).unwrap_or_default();
                    let code = code.try_into().map_err(io::Error::other)?;
                    return Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(code)));
                }
                _ => found.push(connection(payload)?),
            }
            let length = (answer.length() as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn request(family: u8, storage: Option<BorrowedFd<'_>>) -> Vec<u8> {
    let request = Request {
        family,
        protocol: libc::IPPROTO_TCP as u8,
        states: EVERY_STATE & !(LISTEN | TIME_WAIT | CLOSE),
        ..Request::zeroed()
    };
    let mut message = vec![0; HEADER];
    message.extend(bytemuck::bytes_of(&request));
    if let Some(storage) = storage {
        let map = storage.as_raw_fd().to_ne_bytes();
        let map = attribute(SK_DIAG_BPF_STORAGE_REQ_MAP_FD, &map);
        message.extend(attribute(INET_DIAG_REQ_SK_BPF_STORAGES, &map));
    }
    let length = message.len() as u32;
    let mut header = NetlinkBuffer::new(&mut message[..]);
    header.set_length(length);
    header.set_message_type(SOCK_DIAG_BY_FAMILY);
    header.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    message
}

/// Of a length that is a multiple of four.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (ATTRIBUTE + value.len()) as u16;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
}

fn connection<T: Pod>(payload: &[u8]) -> io::Result<Connection<T>> {
    let (message, attributes) = payload
        .split_at_checked(size_of::<Message>())
        .ok_or(io::ErrorKind::InvalidData)?;
    let Message { family, id, .. } = bytemuck::pod_read_unaligned(message);
    let address = |bytes: [u8; 16]| match i32::from(family) {
        libc::AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Address::ipv4(u32::from_ne_bytes([a, b, c, d]))
        }
        _ => Address::ipv6(bytes),
    };
    let remote = address(id.destination);
    Ok(Connection {
        key: FlowKey {
            remote,
            local: address(id.source),
            remote_port: Port::from_be(id.destination_port),
            local_port: Port::from_be(id.source_port),
            // A socket with a link-local peer is bound to its interface.
            scope: if remote.is_link_local() {
                id.ifindex
            } else {
                0
            },
            protocol: Protocol::TCP,
            kind: KEY_FLOW,
        },
        stored: stored(attributes),
    })
}

fn stored<T: Pod>(attributes: &[u8]) -> Option<T> {
    let path = [
        INET_DIAG_SK_BPF_STORAGES,
        SK_DIAG_BPF_STORAGE,
        SK_DIAG_BPF_STORAGE_MAP_VALUE,
    ];
    let value = path.iter().try_fold(attributes.to_vec(), |outer, wanted| {
        let inner = NlasIterator::new(&outer[..])
            .flatten()
            .find(|attribute| attribute.kind() == *wanted)?;
        Some(inner.value().to_vec())
    })?;
    bytemuck::try_pod_read_unaligned(&value).ok()
}
