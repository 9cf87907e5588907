//! Tunnels of every kind that has no Ethernet header inside.

use std::net::IpAddr;

use integration::redirector::Instance;
use integration::topology::{Lan, number};

use crate::traffic::{INSIDE, OUTSIDE, Traffic};

#[test]
fn ipv4_in_ipv4() {
    answered("ipip", false, &[INSIDE[1].v4]);
}

#[test]
fn ipv6_in_ipv4() {
    answered("sit", false, &[INSIDE[1].v6]);
}

#[test]
fn both_in_ipv6() {
    answered("ip6tnl mode any", true, &[INSIDE[1].v4, INSIDE[1].v6]);
}

/// Its packets come with the outer headers before them.
#[test]
fn gre_is_refused() {
    let Lan { server, .. } = Lan::new();
    let (local, remote) = (OUTSIDE[1].v4, OUTSIDE[0].v4);
    server.ip(&format!(
        "link add tunnel0 up type gre local {local} remote {remote}"
    ));
    let output = Instance::unloaded(&server).run("load", "-i tunnel0 80:8000");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("cannot attach to tunnel0"),
        "{output:?}"
    );
}

/// On the tunnel alone, and also on what carries it. It carries packets to these addresses.
#[track_caller]
fn answered(kind: &str, over_ipv6: bool, carried: &[IpAddr]) {
    let Lan { client, server } = Lan::new();
    let hosts = [client, server];
    for (this, peer) in [(0, 1), (1, 0)] {
        let [local, remote] = [this, peer].map(|end| {
            if over_ipv6 {
                OUTSIDE[end].v6
            } else {
                OUTSIDE[end].v4
            }
        });
        let (kind, mode) = kind.split_once(' ').unwrap_or((kind, ""));
        let host = &hosts[this];
        host.ip(&format!(
            "link add tunnel0 type {kind} {mode} local {local} remote {remote} dev eth0"
        ));
        host.ip("link set tunnel0 up");
        number(host, "tunnel0", INSIDE[this]);
    }
    let [client, server] = hosts;
    let traffic = Traffic::new(client, server, INSIDE[1]).of(carried);
    for interfaces in [&["tunnel0"][..], &["eth0", "tunnel0", "lo"]] {
        let _redirected = traffic.redirect_on(interfaces);
        let case = format!("{kind}, on {interfaces:?}");
        traffic.tcp(&case);
        traffic.udp(&case);
    }
    traffic.assert_no_bad_checksum();
}
