//! Tagged frames: the tag is beside the packet or inside it, the programs are below the VLAN
//! device, on it, or both.

use std::collections::BTreeSet;

use integration::capture::{Capture, assert_checksums, ports_of};
use integration::netns::{Namespace, Offloads};
use integration::process::run;
use integration::topology::{CLIENT, SERVER, number};

use crate::traffic::Traffic;

/// One VLAN device on the other, the lowest first: name, type of the tag, VLAN.
type Stack = &'static [(&'static str, &'static str, u16)];

const SINGLE: Stack = &[("eth0.10", "802.1Q", 10)];
const SERVICE: Stack = &[("eth0.10", "802.1ad", 10)];
const QINQ: Stack = &[("eth0.10", "802.1ad", 10), ("eth0.10.20", "802.1Q", 20)];
const TWICE: Stack = &[("eth0.10", "802.1Q", 10), ("eth0.10.20", "802.1Q", 20)];

#[test]
fn below_a_vlan_device() {
    answered(SINGLE, &["eth0"]);
}

#[test]
fn on_a_vlan_device() {
    answered(SINGLE, &["eth0.10"]);
}

/// Without datagrams: the second program takes them for ones straight to the target.
#[test]
fn below_and_on_a_vlan_device() {
    let traffic = network(SINGLE);
    let _redirected = traffic.redirect_on(&["eth0", "eth0.10"]);
    each_place_of_the_tag(&traffic, SINGLE, |case| traffic.tcp(case));
}

#[test]
fn below_a_device_of_802_1ad() {
    answered(SERVICE, &["eth0"]);
}

#[test]
fn below_qinq() {
    answered(QINQ, &["eth0"]);
}

#[test]
fn below_two_tags_of_one_type() {
    answered(TWICE, &["eth0"]);
}

#[test]
fn between_the_devices_of_qinq() {
    answered(QINQ, &["eth0.10"]);
}

#[test]
fn on_top_of_qinq() {
    answered(QINQ, &["eth0.10.20"]);
}

#[test]
fn on_every_device_of_qinq() {
    let traffic = network(QINQ);
    let _redirected = traffic.redirect_on(&["eth0", "eth0.10", "eth0.10.20"]);
    each_place_of_the_tag(&traffic, QINQ, |case| traffic.tcp(case));
}

#[test]
fn the_wire_shows_tags_and_the_port_that_was_asked() {
    for (stack, tags) in [
        (SINGLE, &[(0x8100, 10)][..]),
        (QINQ, &[(0x88a8, 10), (0x8100, 20)]),
    ] {
        let traffic = network(stack);
        for host in [&traffic.client, &traffic.server] {
            host.offloads("eth0", Offloads::Off);
        }
        for (device, ..) in [&("eth0", "", 0)].into_iter().chain(stack) {
            let _redirected = traffic.redirect_on(&[device]);
            let capture = Capture::start(&traffic.client, "eth0");
            traffic.once(device);
            let packets = capture.stop();
            assert_checksums(&packets);
            for address in [SERVER.v4, SERVER.v6] {
                assert_eq!(ports_of(&packets, address), BTreeSet::from([53, 80]));
            }
            for packet in packets {
                assert_eq!(packet.tags, tags, "{packet:?}");
            }
        }
    }
}

/// Whether a packet is for this host is asked with the lower device, which has no address.
#[test]
fn below_the_vlan_device_of_a_router() {
    let traffic = network(SINGLE);
    traffic.server.sysctl("ipv4.ip_forward", "1");
    traffic.server.sysctl("ipv6.conf.all.forwarding", "1");
    let _redirected = traffic.redirect_on(&["eth0"]);
    traffic.once("a router");
}

#[test]
fn below_a_vlan_device_without_ipv6_there() {
    let traffic = network(SINGLE);
    traffic.server.sysctl("ipv6.conf.eth0.disable_ipv6", "1");
    let _redirected = traffic.redirect_on(&["eth0"]);
    traffic.once("no IPv6 on eth0");
}

#[track_caller]
fn answered(stack: Stack, interfaces: &[&str]) {
    let traffic = network(stack);
    let _redirected = traffic.redirect_on(interfaces);
    each_place_of_the_tag(&traffic, stack, |case| {
        traffic.tcp(case);
        traffic.udp(case);
    });
    traffic.assert_no_bad_checksum();
}

fn network(stack: Stack) -> Traffic {
    let [client, server] = ["client", "server"].map(Namespace::new);
    client.connect("eth0", &server, "eth0");
    for (host, addresses) in [(&client, CLIENT), (&server, SERVER)] {
        // Only the first tag is for free.
        host.ip("link set eth0 mtu 1504");
        let top = build(host, stack);
        number(host, top, addresses);
    }
    Traffic::new(client, server, SERVER)
}

fn build(host: &Namespace, stack: Stack) -> &'static str {
    let mut below = "eth0";
    for (device, kind, vlan) in stack {
        host.ip(&format!(
            "link add link {below} name {device} mtu 1500 up type vlan proto {kind} id {vlan}"
        ));
        below = device;
    }
    below
}

/// Without offload the outermost tag goes into the frame as it leaves eth0; without REORDER_HDR the
/// VLAN device writes it there, before egress sees the packet, and puts it back on ingress.
#[track_caller]
fn each_place_of_the_tag(traffic: &Traffic, stack: Stack, check: impl Fn(&str)) {
    for (offload, reorder) in [("on", "on"), ("off", "on"), ("on", "off"), ("off", "off")] {
        for host in [&traffic.client, &traffic.server] {
            vlan_offload(host, offload);
            for device in reorderable(stack) {
                host.ip(&format!(
                    "link set {device} type vlan reorder_hdr {reorder}"
                ));
            }
        }
        check(&format!("offload {offload}, reorder_hdr {reorder}"));
    }
}

/// A device tags once more what begins with a tag of another type (`vlan_dev_hard_start_xmit`), so
/// one below such a device must not write into the frame.
fn reorderable(stack: Stack) -> impl Iterator<Item = &'static str> {
    let kind_of_top = stack.last().map(|(_, kind, _)| kind);
    stack
        .iter()
        .filter(move |(_, kind, _)| Some(kind) == kind_of_top)
        .map(|(device, ..)| *device)
}

fn vlan_offload(host: &Namespace, state: &str) {
    let mut ethtool = host.command("ethtool");
    ethtool.args(["-K", "eth0"]);
    for feature in [
        "rxvlan",
        "txvlan",
        "rx-vlan-stag-hw-parse",
        "tx-vlan-stag-hw-insert",
    ] {
        ethtool.args([feature, state]);
    }
    run(&mut ethtool).success("ethtool -K");
}
