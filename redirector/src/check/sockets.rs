//! Who listens on the ports of the rules: one pass over the socket tables, one over the processes.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use procfs::net::TcpState;

use super::Error;
use crate::{
    config::{Config, Protocol},
    holders::{Holder, Holders},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub address: IpAddr,
    pub owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Process(Holder),
    /// Some processes may not be looked into.
    Hidden,
    /// The kernel itself, or a process of another PID namespace.
    Unseen,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process(holder) => holder.fmt(f),
            Self::Hidden => f.write_str(
                "a process that is only shown to root with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
            ),
            Self::Unseen => f.write_str("the kernel or a process in another container"),
        }
    }
}

pub type Sockets = HashMap<(Protocol, u16), Vec<Socket>>;

/// A socket's protocol, local address and inode.
pub type Bound = (Protocol, SocketAddr, u64);

/// TCP listeners and unconnected UDP sockets on any port that a rule mentions.
pub fn read(config: &Config) -> Result<Sockets, Error> {
    let rules = config.rules.iter();
    let ports = rules.flat_map(|r| [(r.protocol, r.from.get()), (r.protocol, r.to.get())]);
    let found = bound(&ports.collect())?;
    let holders = Holders::first(found.iter().map(|(_, _, inode)| *inode).collect());
    let mut sockets = Sockets::new();
    for (protocol, address, inode) in found {
        let owner = match holders.of(inode) {
            [first, ..] => Owner::Process(first.clone()),
            [] if holders.hidden => Owner::Hidden,
            [] => Owner::Unseen,
        };
        let socket = Socket {
            address: address.ip().to_canonical(),
            owner,
        };
        sockets
            .entry((protocol, address.port()))
            .or_default()
            .push(socket);
    }
    Ok(sockets)
}

/// The same of these ports. Takes time linear in the number of all sockets.
pub fn bound(ports: &HashSet<(Protocol, u16)>) -> Result<Vec<Bound>, Error> {
    let any = |protocol| ports.iter().any(|(each, _)| *each == protocol);
    let mut found: Vec<Bound> = Vec::new();
    if any(Protocol::Tcp) {
        let tables = [table(procfs::net::tcp())?, table(procfs::net::tcp6())?].concat();
        let listening = tables
            .into_iter()
            .filter(|entry| entry.state == TcpState::Listen);
        found.extend(listening.map(|entry| (Protocol::Tcp, entry.local_address, entry.inode)));
    }
    if any(Protocol::Udp) {
        let tables = [table(procfs::net::udp())?, table(procfs::net::udp6())?].concat();
        let unconnected = tables
            .into_iter()
            .filter(|entry| entry.remote_address.port() == 0);
        found.extend(unconnected.map(|entry| (Protocol::Udp, entry.local_address, entry.inode)));
    }
    found.retain(|(protocol, address, _)| ports.contains(&(*protocol, address.port())));
    Ok(found)
}

/// A kernel without IPv6 has no tcp6.
fn table<T>(read: procfs::ProcResult<Vec<T>>) -> Result<Vec<T>, Error> {
    match read {
        Err(procfs::ProcError::NotFound(_)) => Ok(Vec::new()),
        other => other.map_err(Error::Sockets),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, UdpSocket},
        os::fd::AsFd,
    };

    use super::*;
    use crate::check::tests::{config, rule};

    #[test]
    fn own_sockets_are_found_with_their_owner() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = (Protocol::Tcp, tcp.local_addr().unwrap().port(), tcp.as_fd());
        let udp = (Protocol::Udp, udp.local_addr().unwrap().port(), udp.as_fd());
        let rules = [tcp, udp].map(|(protocol, port, _)| rule(&format!("1:{port}/{protocol}")));
        let sockets = read(&config(rules.to_vec())).unwrap();
        for (protocol, port, _) in [tcp, udp] {
            let [socket] = &sockets[&(protocol, port)][..] else {
                panic!("{sockets:?}")
            };
            assert_eq!(socket.address, IpAddr::from([127, 0, 0, 1]));
            let own = std::process::id();
            assert!(
                matches!(&socket.owner, Owner::Process(holder) if holder.pid.unsigned_abs() == own)
            );
        }
    }
}
