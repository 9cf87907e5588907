//! ICMP errors about connections whose client port was moved: each side reads of its own ports.

mod common;
#[path = "common/errors.rs"]
mod errors;
#[path = "common/moving.rs"]
mod moving;

use common::{DATA, Host, Talk, each_family};
use errors::{crossed, stays};
use moving::{CLIENT, ORDERS, connected, open_second, origin};
use redirector_common::{
    Direction, Peer,
    native::craft::{Craft, IcmpError},
};

/// An error about the one packet comes out as one about the other.
#[track_caller]
fn turns(host: &mut Host, direction: Direction, left: &Craft, sent: &Craft) {
    let [left, sent] = [left, sent].map(|quoted| {
        let mut error = IcmpError::port_unreachable(quoted.destination, quoted.clone());
        error.quote_length = usize::MAX;
        [
            error.clone(),
            IcmpError {
                quote_length: error.ports_at() - error.quote_at() + 8,
                ..error
            },
        ]
    });
    for (left, sent) in left.iter().zip(&sent) {
        let after = crossed(host, &left.frame(), direction);
        assert_eq!(after, sent.frame().bytes, "{direction:?} {left:?}");
    }
}

/// A connection to `port`, as the wire and as the application have it.
fn both_ways(host: &mut Host, port: u16, wire: &Talk, application: &Talk) {
    turns(
        host,
        Direction::Egress,
        &application.to(8000, DATA),
        &wire.to(port, DATA),
    );
    turns(
        host,
        Direction::Ingress,
        &wire.from(port, DATA),
        &application.from(8000, DATA),
    );
}

#[test]
fn errors_about_either() {
    for (first, second) in ORDERS {
        each_family(|talk| {
            let mut host = connected(&talk, first);
            let moved = open_second(&mut host, &talk, second);
            both_ways(&mut host, first, &talk, &talk);
            both_ways(&mut host, second, &talk, &moved);
        });
    }
}

/// The client's own connections from the port that another one was moved to.
#[test]
fn errors_about_neither() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        let quoted = moved.from(80, DATA);
        let error = IcmpError::port_unreachable(quoted.destination, quoted);
        stays(&mut host, &error, Direction::Ingress);
    });
}

#[test]
fn a_socket_knows_the_clients_port() {
    each_family(|talk| {
        let mut host = connected(&talk, 8000);
        let moved = open_second(&mut host, &talk, 80);
        host.lose_all_flows();
        let origin = origin(80, CLIENT);
        host.has_socket(&moved, 8000, Peer::Connected { origin });
        let [left, sent] = [moved.to(8000, DATA), talk.to(80, DATA)];
        turns(&mut host, Direction::Egress, &left, &sent);
    });
}
