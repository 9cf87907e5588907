//! XDP before TC: what it rewrites, what it leaves to TC, and that nobody else sees a difference. The
//! capture at the server is between both: there a packet to the target is one that XDP rewrote.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aya::programs::XdpMode;
use integration::capture::{Capture, assert_checksums};
use integration::counters::{Count, NftCounters, counts_of_rule, rule};
use integration::netns::{Namespace, Offloads};
use integration::packet::Packet;
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener, connect};
use integration::topology::{Lan, SERVER};
use integration::transfer::transfer;
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use integration::xdp::{Accelerator, MODES};

const PATIENCE: Duration = Duration::from_secs(10);

/// The first packet of a flow is TC's, all others are XDP's. Each is counted once, so that TC passed
/// what XDP had rewritten.
#[test]
fn known_flows_are_rewritten_before_tc() {
    each_mode(Offloads::Off, |lan, mode| {
        let instance = Instance::load(&lan.server, "-i eth0 80:8000 53:5353/udp");
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        let listener = Listener::bind(&lan.server, 8000);
        let server = UdpServer::bind(&lan.server, 5353);
        let captures = [&lan.client, &lan.server].map(|host| Capture::start(host, "eth0"));
        for to in SERVER.both(80) {
            let mut connection = Connection::open(&lan.client, to, &listener);
            for _ in 0..20 {
                connection.exchange(&format!("{to}, {mode:?}"));
            }
        }
        for to in SERVER.both(53) {
            let client = UdpClient::connect(&lan.client, 0, to);
            for _ in 0..20 {
                server.exchange(&client, &format!("{to}, {mode:?}"));
            }
        }
        settle(lan);
        let [wire, between] = captures.map(Capture::stop);
        assert_checksums(&wire);
        assert_checksums(&between);
        for (protocol, from, to) in [("tcp", 80, 8000), ("udp", 53, 5353)] {
            let what = format!("{protocol}, {mode:?}");
            let stats = instance.stats();
            assert_eq!(rule(&stats, protocol, from)["connections"], 2, "{what}");
            let counted = counts_of_rule(&stats, protocol, from).incoming;
            assert_eq!(counted, count_to(&wire, from), "{what}");
            assert_eq!(count_to(&between, from).packets, 2, "{what}");
            let accelerated = count_to(&between, to).packets;
            assert_eq!(accelerated, counted.packets - 2, "{what}");
            assert!(accelerated > 100, "{what}: {accelerated}");
        }
        lan.assert_no_bad_checksum();
    });
}

/// The target of one rule is the source of another.
#[test]
fn what_xdp_rewrote_is_not_rewritten_again() {
    each_mode(Offloads::Off, |lan, mode| {
        let rules = "-i eth0 80:8000 8000:9000 53:5353/udp 5353:9353/udp";
        let instance = Instance::load(&lan.server, rules);
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        let capture = Capture::start(&lan.client, "eth0");
        for (from, to) in [(80, 8000), (8000, 9000)] {
            let listener = Listener::bind(&lan.server, to);
            for address in SERVER.both(from) {
                Connection::open(&lan.client, address, &listener)
                    .exchange(&format!("{address}, {mode:?}"));
            }
        }
        for (from, to) in [(53, 5353), (5353, 9353)] {
            let server = UdpServer::bind(&lan.server, to);
            for address in SERVER.both(from) {
                let client = UdpClient::connect(&lan.client, 0, address);
                server.exchange(&client, &format!("{address}, {mode:?}"));
                server.exchange(&client, &format!("{address}, {mode:?} again"));
            }
        }
        settle(lan);
        let wire = capture.stop();
        assert_checksums(&wire);
        for (protocol, from) in [("tcp", 80), ("tcp", 8000), ("udp", 53), ("udp", 5353)] {
            let counted = counts_of_rule(&instance.stats(), protocol, from).incoming;
            assert_eq!(counted, count_to(&wire, from), "{from}, {mode:?}");
        }
    });
}

/// Connections that share the application's tuple, of which TC moves one.
#[test]
fn moved_connections_are_left_to_tc() {
    each_mode(Offloads::Off, |lan, mode| {
        let instance = Instance::load(&lan.server, "-i eth0 80:8000 81:8000");
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        let listener = Listener::bind(&lan.server, 8000);
        for (family, client) in [(0, 40_000), (1, 40_001)] {
            let mut connections = [80, 81, 8000].map(|port| {
                let to = SERVER.both(port)[family];
                let client = connect(&lan.client, client, to).expect("a connection");
                (client, listener.accept())
            });
            for _ in 0..3 {
                for (client, server) in &mut connections {
                    echo(client, server);
                    echo(server, client);
                }
            }
        }
        lan.assert_no_bad_checksum();
    });
}

/// Super-packets arrive whole, and count as what they are where they are counted.
#[test]
fn bulk_data_arrives() {
    const MIB: u64 = 32;
    each_mode(Offloads::On, |lan, mode| {
        let instance = Instance::load(&lan.server, "-i eth0 80:8000");
        let nft = NftCounters::start(&lan.server, &[("tcp", 8000)]);
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        let listener = Listener::bind(&lan.server, 8000);
        for to in SERVER.both(80) {
            let Connection {
                mut client,
                mut server,
            } = Connection::open(&lan.client, to, &listener);
            for _ in 0..2 {
                let (sent, received) = transfer(&mut client, &mut server, MIB);
                assert_eq!(sent, received, "{to}, {mode:?}");
                std::mem::swap(&mut client, &mut server);
            }
        }
        settle(lan);
        let what = format!("{mode:?}");
        wait::until_equal(&what, || {
            let counted = counts_of_rule(&instance.stats(), "tcp", 80);
            (counted, nft.read("tcp", 8000))
        });
        lan.assert_no_bad_checksum();
    });
}

/// A NIC's packets have checksums. They become super-packets behind XDP in the driver, but before generic
/// XDP.
#[test]
fn bulk_data_with_receive_offload_arrives() {
    const MIB: u64 = 32;
    each_mode(Offloads::On, |lan, mode| {
        lan.client.offloads("eth0", Offloads::Off);
        let instance = Instance::load(&lan.server, "-i eth0 80:8000");
        let nft = NftCounters::start(&lan.server, &[("tcp", 8000)]);
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        let listener = Listener::bind(&lan.server, 8000);
        for to in SERVER.both(80) {
            let Connection {
                mut client,
                mut server,
            } = Connection::open(&lan.client, to, &listener);
            let (sent, received) = transfer(&mut client, &mut server, MIB);
            assert_eq!(sent, received, "{to}, {mode:?}");
        }
        settle(lan);
        let counted = counts_of_rule(&instance.stats(), "tcp", 80).incoming;
        let received = nft.read("tcp", 8000).incoming;
        match mode {
            XdpMode::Driver => {
                let sent = sent(&lan.client);
                let others = sent - counted.packets;
                assert!(others < 50, "{counted:?}, {sent} sent");
                assert!(counted.packets > 4 * received.packets, "{received:?}");
            }
            _ => assert_eq!(counted, received),
        }
        lan.assert_no_bad_checksum();
    });
}

fn each_mode(offloads: Offloads, check: impl Fn(&Lan, XdpMode)) {
    for mode in MODES {
        let lan = Lan::new();
        lan.offloads(offloads);
        check(&lan, mode);
    }
}

/// After this no connection sends anything more.
fn settle(lan: &Lan) {
    for host in [&lan.client, &lan.server] {
        wait::until("every connection has ended", || {
            !host.has_live_connections()
        });
    }
}

#[track_caller]
fn echo(from: &mut TcpStream, to: &mut TcpStream) {
    let sent = [0x5a; 512];
    let mut received = [0; 512];
    to.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    from.write_all(&sent).expect("to be sent");
    to.read_exact(&mut received).expect("to be received");
    assert_eq!(sent, received);
}

/// Packets that ever left, as a device counts them.
fn sent(host: &Namespace) -> u64 {
    let statistics = host.ip("-s -json link show dev eth0");
    json(&statistics)[0]["stats64"]["tx"]["packets"]
        .as_u64()
        .expect("a number")
}

fn count_to(packets: &[Packet], port: u16) -> Count {
    packets
        .iter()
        .filter(|packet| is_server(packet.destination) && packet.destination.port() == port)
        .fold(Count::default(), |count, packet| Count {
            packets: count.packets + 1,
            bytes: count.bytes + packet.bytes,
        })
}

fn is_server(address: SocketAddr) -> bool {
    [SERVER.v4, SERVER.v6].contains(&address.ip())
}
