//! Two connections of one client port, of which the second is moved.
#![allow(dead_code, reason = "every test is a crate of its own and uses a part")]

use redirector_common::{
    Peer, Skip,
    abi::{Port, SocketFlow},
    native::craft::{ACK, SYN, Transport},
};

use crate::common::{CONNECTED, DATA, FINAL_ACK, Host, OPENING, SYN_ACK, Talk, tcp};

pub const CLIENT: u16 = 40_000;

/// A second opening, which is no repetition of the first.
pub const OTHER_OPENING: Transport = tcp(SYN, 9000, 0);
pub const OTHER_SYN_ACK: Transport = tcp(SYN | ACK, 5000, 9001);
pub const OTHER_FINAL_ACK: Transport = tcp(ACK, 9001, 5001);

pub fn origin(from: u16, client: u16) -> Option<SocketFlow> {
    Some(SocketFlow {
        rule: 0,
        from: Port::new(from),
        client: Port::new(client),
    })
}

/// A host that redirects 80 and 81 to 8000 and has a connection of `port`.
pub fn connected(talk: &Talk, port: u16) -> Host {
    let mut host = Host::with(&[(80, 8000), (81, 8000)]);
    let redirected = (port != 8000).then_some(8000);
    assert_eq!(host.receive(&talk.to(port, OPENING)), Ok(redirected));
    host.has_socket(talk, 8000, Peer::Handshake);
    let answer = redirected.map_or(Err(Skip::Direct), |_| Ok(Some(port)));
    assert_eq!(host.send(&talk.from(8000, SYN_ACK)), answer);
    assert_eq!(host.receive(&talk.to(port, FINAL_ACK)), Ok(redirected));
    if port == 8000 {
        host.has_socket(talk, 8000, CONNECTED);
        assert_eq!(host.send(&talk.from(8000, DATA)), answer);
    }
    host.has_socket(talk, 8000, CONNECTED);
    host
}

/// The second connection, as the application has it.
pub fn open_second(host: &mut Host, talk: &Talk, port: u16) -> Talk {
    assert_eq!(host.receive(&talk.to(port, OTHER_OPENING)), Ok(Some(8000)));
    let moved = Talk {
        client: (talk.client.0, host.client_port),
        ..*talk
    };
    assert_ne!(moved.client.1, CLIENT);
    host.has_socket(&moved, 8000, Peer::Handshake);
    assert_eq!(host.send(&moved.from(8000, OTHER_SYN_ACK)), Ok(Some(port)));
    assert_eq!(host.client_port, CLIENT);
    assert_eq!(
        host.receive(&talk.to(port, OTHER_FINAL_ACK)),
        Ok(Some(8000))
    );
    assert_eq!(host.client_port, moved.client.1);
    host.has_socket(&moved, 8000, CONNECTED);
    moved
}

/// The ports of the first and of the second one.
pub const ORDERS: [(u16, u16); 4] = [(80, 8000), (8000, 80), (80, 81), (81, 80)];
