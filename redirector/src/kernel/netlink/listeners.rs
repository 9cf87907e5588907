//! Listening TCP sockets and their accept queues, by sock_diag(7).

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

use super::request;

/// Counts of connections, but for `inode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub inode: u64,
    /// Established, and not yet accepted by the application.
    pub depth: u32,
    /// The most of them: what the application asked for, and no more than `somaxconn` was when it did.
    pub limit: u32,
    /// Dropped for want of room, or of memory; `None` where the kernel does not tell.
    pub drops: Option<u32>,
}

/// Of the calling thread's network namespace, both families.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    let families = [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ];
    let mut found = Vec::new();
    for (family, socket_id) in families {
        let query = SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::SKMEMINFO,
            states: StateFlags::LISTEN,
            socket_id,
        });
        let answers = request(&socket, query, NLM_F_DUMP).map_err(|refusal| refusal.source)?;
        found.extend(answers.into_iter().filter_map(|answer| match answer {
            SockDiagMessage::InetResponse(response) => Some(Listener::from(*response)),
            _ => None,
        }));
    }
    Ok(found)
}

/// `inet_sk_diag_fill()` in `net/ipv4/inet_diag.c`, `tcp_diag_get_info()` in `net/ipv4/tcp_diag.c`.
impl From<InetResponse> for Listener {
    fn from(response: InetResponse) -> Self {
        let InetResponse { header, nlas } = response;
        let id = header.socket_id;
        let address: IpAddr = id.source_address.to_canonical();
        Self {
            address: SocketAddr::new(address, id.source_port),
            inode: header.inode.into(),
            depth: header.recv_queue,
            limit: header.send_queue,
            drops: nlas.iter().find_map(|attribute| match attribute {
                Nla::MemInfo(memory) => Some(memory.drops),
                _ => None,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn own_listener_has_a_queue() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let address = listener.local_addr().unwrap();
            let own = || {
                let mut all = listeners().unwrap().into_iter();
                all.find(|each| each.address == address).unwrap()
            };
            assert_eq!((own().depth, own().drops), (0, Some(0)));
            assert!(own().limit > 0 && own().inode > 0);
            let _waiting = TcpStream::connect(address).unwrap();
            assert_eq!(own().depth, 1);
        }
    }
}
