use super::*;
use crate::{
    config::XdpMode,
    kernel::{Reason, Tc},
    plan::Plan,
};

fn interface(name: &str, index: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        index,
    }
}

fn network(interfaces: &[(&str, u32)]) -> Network {
    Network {
        interfaces: interfaces
            .iter()
            .map(|(name, index)| interface(name, *index))
            .collect(),
        default_route: None,
    }
}

fn lines(
    before: &[(&str, u32)],
    now: &[(&str, u32)],
    attach: &[(&str, u32)],
    detach: &[(&str, u32)],
) -> Vec<String> {
    let list = |list: &[(&str, u32)]| network(list).interfaces;
    let sites = list(attach)
        .into_iter()
        .map(|interface| Site {
            xdp: (interface.index == 9).then_some(XdpMode::Auto),
            interface,
            has_link_layer: true,
            tc: Tc::Tcx,
            beside: None,
            reason: Reason::Default,
        })
        .collect();
    let mut moves = Moves::default();
    moves.add(Outcome::Done {
        plan: Plan {
            attach: list(attach),
            detach: list(detach),
            ..Plan::default()
        },
        sites,
        notices: Vec::new(),
    });
    let wanted = ["eth0", "eth*", "wg0"].map(|text| text.parse().unwrap());
    moves.lines(&network(before), &network(now), &wanted)
}

#[test]
fn what_became_of_the_interfaces() {
    let appeared = lines(&[], &[("eth1", 3)], &[("eth1", 3)], &[]);
    assert_eq!(appeared, ["eth1 appeared: attached by tcx"]);
    let with_xdp = lines(&[], &[("eth9", 9)], &[("eth9", 9)], &[]);
    assert_eq!(with_xdp, ["eth9 appeared: attached by xdp and tcx"]);
    let again = lines(
        &[("eth0", 3)],
        &[("eth0", 4)],
        &[("eth0", 4)],
        &[("eth0", 3)],
    );
    assert_eq!(again, ["eth0 was made again: attached by tcx"]);
    let gone = lines(&[("eth0", 3)], &[("eth1", 4)], &[], &[("eth0", 3)]);
    assert_eq!(gone, ["eth0 disappeared; waiting for eth0"]);
    let one_of_several = lines(&[("eth1", 3)], &[("eth2", 4)], &[], &[("eth1", 3)]);
    assert_eq!(one_of_several, ["eth1 disappeared"]);
    let last = lines(&[("eth1", 3)], &[], &[], &[("eth1", 3)]);
    assert_eq!(last, ["eth1 disappeared; waiting for eth*"]);
    let renamed = lines(&[("wan", 3)], &[("eth1", 3)], &[("eth1", 3)], &[]);
    assert_eq!(renamed, ["wan was renamed to eth1: attached by tcx"]);
    let away = lines(&[("wg0", 3)], &[("wan", 3)], &[], &[("wan", 3)]);
    assert_eq!(away, ["wg0 was renamed to wan: detached; waiting for wg0"]);
}
