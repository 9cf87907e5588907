//! Which rule a packet meets, and that a change of rules moves no live flow.

mod common;

use std::net::IpAddr;

use common::{
    CONNECTED, DATA, FINAL_ACK, Host, INTERFACE, OPENING, SYN_ACK, Talk, UDP, each_family, tcp,
};
use redirector_common::{
    Peer, Skip,
    abi::{NO_PORT, Port, SocketFlow},
    native::craft::{SYN, Transport},
};

/// What begins a flow, the answer, and what comes later.
const PROTOCOLS: [[Transport; 3]; 2] = [[OPENING, SYN_ACK, FINAL_ACK], [UDP, UDP, UDP]];

/// From the most specific to the least: address and interface, address, interface, neither.
fn scopes(address: IpAddr) -> [(Option<IpAddr>, u32, u16); 4] {
    [
        (Some(address), INTERFACE, 9001),
        (Some(address), 0, 9002),
        (None, INTERFACE, 9003),
        (None, 0, 9004),
    ]
}

fn begin(host: &mut Host, talk: &Talk, transport: Transport) -> common::Crossing {
    host.lose_all_flows();
    host.receive(&talk.to(80, transport))
}

#[test]
fn the_most_specific_rule_wins() {
    each_family(|talk| {
        for transport in [OPENING, DATA, UDP] {
            let mut host = Host::with(&[]);
            assert_eq!(begin(&mut host, &talk, transport), Ok(None));
            for (address, ifindex, to) in scopes(talk.server).into_iter().rev() {
                host.rule(address, ifindex, 80, Some(to));
                assert_eq!(begin(&mut host, &talk, transport), Ok(Some(to)));
            }
        }
    });
}

#[test]
fn a_removed_rule_falls_back_to_a_more_general_one() {
    each_family(|talk| {
        for transport in [OPENING, DATA, UDP] {
            let mut host = Host::with(&[]);
            for (address, ifindex, to) in scopes(talk.server) {
                host.rule(address, ifindex, 80, Some(to));
            }
            for (address, ifindex, to) in scopes(talk.server) {
                assert_eq!(begin(&mut host, &talk, transport), Ok(Some(to)));
                host.rule(address, ifindex, 80, None);
            }
            assert_eq!(begin(&mut host, &talk, transport), Ok(None));
        }
    });
}

#[test]
fn rules_of_another_scope_do_not_match() {
    let elsewhere: IpAddr = "198.51.100.1".parse().expect("an address");
    each_family(|talk| {
        for transport in [OPENING, DATA, UDP] {
            let mut host = Host::with(&[]);
            host.rule(Some(elsewhere), 0, 80, Some(9001));
            host.rule(None, INTERFACE + 1, 80, Some(9002));
            host.rule(Some(talk.server), INTERFACE + 1, 80, Some(9003));
            host.rule(Some(elsewhere), INTERFACE, 80, Some(9004));
            assert_eq!(begin(&mut host, &talk, transport), Ok(None));
        }
    });
}

#[test]
fn a_flow_keeps_its_first_target() {
    each_family(|talk| {
        for [first, reply, later] in PROTOCOLS {
            let mut host = Host::with(&[(80, 8000)]);
            assert_eq!(host.receive(&talk.to(80, first)), Ok(Some(8000)));
            assert_eq!(host.send(&talk.from(8000, reply)), Ok(Some(80)));
            assert_eq!(host.receive(&talk.to(80, later)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, CONNECTED);
            for to in [Some(8001), Some(8002), None, Some(8003)] {
                host.rule(None, 0, 80, to);
                assert_eq!(host.receive(&talk.to(80, later)), Ok(Some(8000)), "{to:?}");
                assert_eq!(host.send(&talk.from(8000, later)), Ok(Some(80)), "{to:?}");
            }
            let client = (talk.client.0, talk.client.1 + 1);
            let other = Talk { client, ..talk };
            assert_eq!(host.receive(&other.to(80, first)), Ok(Some(8003)));
        }
    });
}

/// Spoofed or late, it is the live connection's to answer; when that is over, it is a new one.
#[test]
fn a_syn_in_a_live_connection_keeps_the_first_target() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.has_socket(&talk, 8000, CONNECTED);
        host.rule(None, 0, 80, Some(8001));
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));

        host.has_socket(&talk, 8000, Peer::None);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8001)));
    });
}

/// The same to a container, whose socket is elsewhere.
#[test]
fn a_syn_does_not_end_a_containers_connection_to_the_first_target() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(80)));
        assert_eq!(host.receive(&talk.to(80, FINAL_ACK)), Ok(Some(8000)));
        host.rule(None, 0, 80, Some(9000));
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        let stranger = talk.to(80, tcp(SYN, 9000, 0));
        assert!(host.receive(&stranger).is_ok());
        assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)));
        assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)));
    });
}

/// A target becomes another rule's source: its live connections are none of that rule.
#[test]
fn a_syn_does_not_lead_a_direct_connection_to_a_new_rule() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.receive(&talk.to(8000, OPENING)), Ok(None));
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
        assert_eq!(host.receive(&talk.to(8000, FINAL_ACK)), Ok(None));
        host.has_socket(&talk, 8000, CONNECTED);
        assert_eq!(host.send(&talk.from(8000, DATA)), Err(Skip::Direct));
        host.rule(None, 0, 8000, Some(9000));
        assert_eq!(host.receive(&talk.to(8000, DATA)), Err(Skip::Established));
        let stranger = talk.to(8000, tcp(SYN, 9000, 0));
        for packet in [stranger, talk.to(8000, DATA)] {
            assert_eq!(host.receive(&packet), Err(Skip::Established));
        }
    });
}

/// Evicted from the tables: the socket of the earlier target is still there.
#[test]
fn a_socket_keeps_the_first_target() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000)]);
        host.has_socket(&talk, 8000, CONNECTED);
        for to in [Some(8001), None] {
            host.rule(None, 0, 80, to);
            host.lose_all_flows();
            assert_eq!(host.receive(&talk.to(80, DATA)), Ok(Some(8000)), "{to:?}");
            assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(80)), "{to:?}");
        }
        assert_eq!(host.connections(), 0);
    });
}

#[test]
fn a_removed_rule_takes_no_new_connection() {
    each_family(|talk| {
        for transport in [OPENING, DATA, UDP] {
            let mut host = Host::with(&[(80, 8000)]);
            host.rule(None, 0, 80, None);
            assert_eq!(host.receive(&talk.to(80, transport)), Ok(None));
            assert_eq!(host.flows(), [0, 0]);
        }
    });
}

/// Both directions of a flow count for the rule that it began under.
#[test]
fn a_flow_is_counted_for_its_own_rule() {
    each_family(|talk| {
        for [first, reply, later] in PROTOCOLS {
            for removed in [true, false] {
                let mut host = Host::with(&[(443, 4430), (80, 8000)]);
                let specific = (!removed).then_some(talk.server);
                host.rule(specific, 0, 80, Some(9000));
                let number = host.number_of(specific, 80);
                assert_eq!(host.receive(&talk.to(80, first)), Ok(Some(9000)));
                assert_eq!(host.send(&talk.from(9000, reply)), Ok(Some(80)));
                host.rule(specific, 0, 80, None);
                assert_eq!(host.receive(&talk.to(80, later)), Ok(Some(9000)));
                assert_eq!(host.send(&talk.from(9000, later)), Ok(Some(80)));
                let counters = host.counters(number);
                assert_eq!((counters.in_packets, counters.out_packets), (2, 2));
            }
        }
    });
}

/// A target that is another rule's source: a packet is rewritten once.
#[test]
fn rules_do_not_chain() {
    each_family(|talk| {
        for [first, reply, later] in PROTOCOLS {
            let mut host = Host::with(&[(80, 8000), (8000, 9000)]);
            let client = (talk.client.0, talk.client.1 + 1);
            let other = Talk { client, ..talk };
            for (talk, from, to) in [(talk, 80, 8000), (other, 8000, 9000)] {
                assert_eq!(host.receive(&talk.to(from, first)), Ok(Some(to)));
                assert_eq!(host.send(&talk.from(to, reply)), Ok(Some(from)));
                assert_eq!(host.receive(&talk.to(from, later)), Ok(Some(to)));
            }
            assert_eq!(host.connections(), 2);
        }
    });
}

#[test]
fn without_a_slot_nothing_is_redirected() {
    each_family(|talk| {
        for transport in [OPENING, UDP] {
            let mut host = Host::with(&[(80, 8000)]);
            host.memory.slot = redirector_common::abi::SLOT_OFF;
            assert_eq!(host.receive(&talk.to(80, transport)), Ok(None));
            assert_eq!(host.send(&talk.from(8000, transport)), Ok(None));
        }
        let mut host = Host::with(&[(80, 8000)]);
        assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Err(Skip::Direct));
    });
}

/// The earlier target has a connection of this client's port, through another wire port.
#[test]
fn a_syn_does_not_go_to_another_ports_connection() {
    each_family(|talk| {
        let mut host = Host::with(&[(80, 8000), (81, 8000)]);
        let origin = Some(SocketFlow {
            rule: host.number_of(None, 81),
            from: Port::new(81),
            client: NO_PORT,
        });
        host.has_socket(&talk, 8000, Peer::Connected { origin });
        host.rule(None, 0, 80, Some(9000));
        assert_eq!(host.receive(&talk.to(80, OPENING)), Ok(Some(9000)));
    });
}

/// Neither an ACK, as a stranger can forge it, nor a SYN disturbs it.
#[test]
fn another_ports_connection_at_an_earlier_target_is_left_alone() {
    each_family(|talk| {
        for packet in [DATA, OPENING] {
            let mut host = Host::with(&[(80, 8000), (81, 8000)]);
            assert_eq!(host.receive(&talk.to(81, OPENING)), Ok(Some(8000)));
            assert_eq!(host.send(&talk.from(8000, SYN_ACK)), Ok(Some(81)));
            assert_eq!(host.receive(&talk.to(81, FINAL_ACK)), Ok(Some(8000)));
            host.has_socket(&talk, 8000, CONNECTED);
            host.rule(None, 0, 80, Some(9000));
            assert_eq!(host.receive(&talk.to(80, packet)), Ok(Some(9000)));
            assert_eq!(host.send(&talk.from(8000, DATA)), Ok(Some(81)));
        }
    });
}
