//! Packets that cross two interfaces, as a bridge and its port, that are both loaded: the first one
//! rewrites them and leaves a mark.

mod common;

use common::{DATA, FINAL_ACK, Host, OPENING, SYN_ACK, UDP, each_family};
use redirector_common::{
    Direction, Verdict,
    native::craft::{Craft, IcmpError},
    redirect,
};

const MARK: u32 = 7;

/// Crosses both interfaces; the verdicts of both.
fn cross(host: &mut Host, packet: &Craft, direction: Direction) -> [Option<u32>; 2] {
    let mut frame = packet.frame();
    [(); 2].map(
        |()| match redirect(&mut frame, &mut host.memory, direction) {
            Ok(Verdict::Redirected { rule }) => Some(rule),
            _ => None,
        },
    )
}

fn stacked(rules: &[(u16, u16)]) -> Host {
    let mut host = Host::with(rules);
    host.memory.mark = MARK;
    host
}

#[test]
fn a_rewritten_packet_is_not_rewritten_again() {
    // Where the target is another rule's source, and the wire port another one's target, too.
    for rules in [&[(80, 8000)][..], &[(80, 8000), (8000, 9000), (443, 80)]] {
        each_family(|talk| {
            let mut host = stacked(rules);
            for (transport, is_request) in [
                (OPENING, true),
                (SYN_ACK, false),
                (FINAL_ACK, true),
                (DATA, true),
                (DATA, false),
            ] {
                let verdicts = if is_request {
                    cross(&mut host, &talk.to(80, transport), Direction::Ingress)
                } else {
                    cross(&mut host, &talk.from(8000, transport), Direction::Egress)
                };
                assert_eq!(verdicts, [Some(0), None], "{transport:?}");
            }
            assert_eq!(host.connections(), 1);
        });
    }
}

/// The second interface does not take it for one straight to the target.
#[test]
fn a_rewritten_datagram_is_answered_from_the_wire_port() {
    each_family(|talk| {
        let mut host = stacked(&[(53, 5353)]);
        for _ in 0..2 {
            let request = talk.to(53, UDP);
            assert_eq!(
                cross(&mut host, &request, Direction::Ingress),
                [Some(0), None]
            );
            let reply = talk.from(5353, UDP);
            assert_eq!(cross(&mut host, &reply, Direction::Egress), [Some(0), None]);
        }
    });
}

/// Somebody else's mark stays, and stops nothing.
#[test]
fn anothers_mark_is_left_alone() {
    each_family(|talk| {
        let mut host = stacked(&[(80, 8000)]);
        let mut frame = talk.to(80, OPENING).frame();
        frame.mark = MARK + 1;
        let verdict = redirect(&mut frame, &mut host.memory, Direction::Ingress);
        assert_eq!(verdict, Ok(Verdict::Redirected { rule: 0 }));
        assert_eq!(frame.mark, MARK + 1);
    });
}

/// What the first interface makes of it would be another connection's for the second.
#[test]
fn a_rewritten_error_is_not_rewritten_again() {
    each_family(|talk| {
        let mut host = stacked(&[(80, 8000), (443, 80)]);
        assert_eq!(host.receive(&talk.to(80, UDP)), Ok(Some(8000)));
        assert_eq!(host.receive(&talk.to(443, UDP)), Ok(Some(80)));
        let mut frame = IcmpError::port_unreachable(talk.server, talk.to(8000, UDP)).frame();
        let verdict = redirect(&mut frame, &mut host.memory, Direction::Egress);
        assert_eq!(verdict, Ok(Verdict::Redirected { rule: 0 }));
        let verdict = redirect(&mut frame, &mut host.memory, Direction::Egress);
        assert_eq!(verdict, Ok(Verdict::Unrelated));
    });
}
