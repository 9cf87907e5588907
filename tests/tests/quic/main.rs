//! HTTP/3: QUIC over a redirected UDP port, from the handshake to a client that moves.

mod body;
mod client;
mod endpoint;
mod server;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use integration::capture::{Capture, assert_checksums, ports_of};
use integration::datapath::{Datapath, Redirected};
use integration::netns::{Namespace, Offloads};
use integration::packet::Packet;
use integration::server::canonical;
use integration::topology::{Lan, SERVER};
use integration::{scale, wait};

use crate::client::Client;
use crate::endpoint::Batches;
use crate::server::Server;

const PORT: u16 = 443;
const TARGET: u16 = 4430;
const MIB: usize = 1 << 20;
const LARGE: usize = 5 * MIB;

/// For a whole test.
const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn bodies_arrive_whole_wherever_the_client_is() {
    play(async |stage: &Stage| {
        for (from, to) in stage.places() {
            let client = stage.connect(from, to).await;
            client.get(0, 1).await;
            client.get(17, 2).await;
            client.get(LARGE, 3).await;
            tokio::join!(
                client.get(MIB, 4),
                client.get(MIB / 3, 5),
                client.put(MIB, 6),
                client.get(17, 7),
                client.put(17, 8),
            );
        }
        stage.lan.assert_no_bad_checksum();
    });
}

#[test]
fn a_large_upload_arrives_whole() {
    play(async |stage: &Stage| {
        let size = usize::try_from(scale(20)).expect("a size") * MIB;
        for to in SERVER.both(PORT) {
            let client = stage.connect(&stage.lan.client, to).await;
            client.put(size, 1).await;
        }
        stage.lan.assert_no_bad_checksum();
    });
}

/// The server sends ahead by a window, which is smaller than what is left.
#[test]
fn a_client_moves_to_another_port_during_a_download() {
    play(async |stage: &Stage| {
        for (from, to) in stage.places() {
            let client = stage.connect(from, to).await;
            let first = client.address();
            let server = stage.server.connection_of(first).await;
            let mut download = client.download(LARGE, 1).await;
            download.read(MIB / 2).await;
            client.rebind();
            assert_ne!(client.address(), first);
            download.finish().await;
            assert_eq!(canonical(server.remote_address()), client.address());
            tokio::join!(client.get(MIB, 2), client.put(MIB, 3));
        }
        stage.lan.assert_no_bad_checksum();
    });
}

/// Without batches: since Linux 6.11 those of an interface without checksum offload carry the sum of
/// the pseudo-header alone, as `CHECKSUM_NONE` (`udp_send_skb()` in `net/ipv4/udp.c`), so a port that
/// is rewritten counts twice and the datagrams are lost. They are under nftables too.
#[test]
fn the_wire_shows_one_port_of_the_server_and_two_of_a_client_that_moves() {
    play_with(Batches::Off, async |stage: &Stage| {
        stage.lan.offloads(Offloads::Off);
        for to in SERVER.both(PORT) {
            let captures =
                [&stage.lan.client, &stage.lan.server].map(|host| Capture::start(host, "eth0"));
            let client = stage.connect(&stage.lan.client, to).await;
            let first = client.address();
            let mut download = client.download(2 * MIB, 1).await;
            download.read(MIB / 4).await;
            client.rebind();
            download.finish().await;
            let moves = BTreeSet::from([first, client.address()].map(|address| address.port()));
            for packets in captures.map(Capture::stop) {
                assert_eq!(ports_of(&packets, to.ip()), BTreeSet::from([PORT]), "{to}");
                assert_eq!(ports_of(&packets, first.ip()), moves, "{to}");
                assert_checksums(&packets);
            }
        }
    });
}

#[test]
fn two_clients_at_once() {
    play(async |stage: &Stage| {
        let [v4, v6] = SERVER.both(PORT);
        for [one, other] in [[v4, v6], [v4, v4], [v6, v6]] {
            let one = stage.connect(&stage.lan.client, one).await;
            let other = stage.connect(&stage.lan.client, other).await;
            tokio::join!(
                one.get(LARGE, 1),
                other.get(LARGE, 2),
                one.put(MIB, 3),
                other.put(MIB, 4),
            );
            for client in [&one, &other] {
                stage.server.connection_of(client.address()).await;
            }
        }
    });
}

/// Longer in the long run than netfilter remembers what was not answered.
#[test]
fn a_connection_goes_on_after_it_was_idle() {
    play(async |stage: &Stage| {
        let idle = Duration::from_secs(scale(2));
        let mut clients = Vec::new();
        for (from, to) in stage.places() {
            clients.push(stage.connect(from, to).await);
        }
        for moves in [false, true] {
            tokio::time::sleep(idle).await;
            for client in &clients {
                if moves {
                    client.rebind();
                }
                client.get(MIB, 1).await;
                client.put(17, 2).await;
                stage.server.connection_of(client.address()).await;
            }
        }
    });
}

#[test]
fn the_path_mtu_is_found() {
    const QUINNS_LARGEST: u16 = 1452;
    /// It stops where half the rest is shorter than its smallest step of 20.
    const REST: u16 = 40;
    play(async |stage: &Stage| {
        for (to, headers) in SERVER.both(PORT).into_iter().zip([28, 48]) {
            for mtu in [1500, 1400] {
                // What is longer than this vanishes: nobody sends an ICMP error.
                stage.lan.client.ip(&format!("link set eth0 mtu {mtu}"));
                let largest = (mtu - headers).min(QUINNS_LARGEST);
                let client = stage.connect(&stage.lan.client, to).await;
                let ends = [
                    client.connection().clone(),
                    stage.server.connection_of(client.address()).await,
                ];
                let found = || ends.clone().map(|end| end.stats().path.current_mtu);
                let is_found = || found().iter().all(|&mtu| mtu > largest - REST);
                let start = Instant::now();
                while !is_found() {
                    let late = start.elapsed() > wait::DEADLINE;
                    assert!(!late, "{to}, MTU {mtu}: found {:?}", found());
                    client.get(MIB / 8, 1).await;
                    client.put(MIB / 8, 2).await;
                }
                client.get(MIB, 3).await;
                // A veth lets pass what a VLAN tag would take.
                let exceeds = found().into_iter().any(|mtu| mtu > largest + 4);
                assert!(!exceeds, "{to}, MTU {mtu}: found {:?}", found());
            }
        }
    });
}

/// Either way a batch crosses the datapath as one packet.
#[test]
fn batches_arrive_whole_wherever_they_are_split() {
    play(async |stage: &Stage| {
        for split in ["on", "off"] {
            for host in [&stage.lan.client, &stage.lan.server] {
                for interface in ["eth0", "lo"] {
                    let features = format!("tx-udp-segmentation {split} gro {split}");
                    host.run(&format!("ethtool -K {interface} {features}"));
                }
            }
            for to in SERVER.both(PORT) {
                let capture = Capture::start(&stage.lan.client, "eth0");
                let client = stage.connect(&stage.lan.client, to).await;
                // No more than tcpdump can follow.
                client.get(MIB / 4, 1).await;
                client.put(MIB / 4, 2).await;
                let packets = capture.stop();
                assert_eq!(ports_of(&packets, to.ip()), BTreeSet::from([PORT]));
                for sender in [to.ip(), client.address().ip()] {
                    let has_batches = longest(&packets, sender) > 1500;
                    assert_eq!(has_batches, split == "on", "{sender}, {split}");
                }
            }
            for (from, to) in stage.places() {
                let client = stage.connect(from, to).await;
                tokio::join!(client.get(LARGE, 3), client.put(MIB, 4));
            }
        }
        stage.lan.assert_no_bad_checksum();
    });
}

/// A server behind the redirected port.
struct Stage {
    server: Server,
    _redirected: Redirected,
    lan: Lan,
}

impl Stage {
    fn places(&self) -> impl Iterator<Item = (&Namespace, SocketAddr)> {
        let places = self.lan.places().into_iter();
        places.map(|(from, address)| (from, SocketAddr::new(address, PORT)))
    }

    /// The server must see the client's own address, and its own as it was asked.
    async fn connect(&self, from: &Namespace, to: SocketAddr) -> Client {
        let client = Client::connect(from, to, &self.server).await;
        let end = self.server.connection_of(client.address()).await;
        let asked = end.local_ip().map(|address| address.to_canonical());
        assert_eq!(asked, Some(to.ip()), "from {}", from.name());
        client
    }
}

/// Runs a test to its end, within the deadline.
fn play(test: impl AsyncFnOnce(&Stage)) {
    play_with(Batches::On, test);
}

fn play_with(batches: Batches, test: impl AsyncFnOnce(&Stage)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let lan = Lan::new();
        let stage = Stage {
            server: Server::start(&lan.server, TARGET, batches),
            _redirected: Datapath::under_test().redirect(&lan.server, &["443:4430/udp"]),
            lan,
        };
        tokio::time::timeout(DEADLINE, test(&stage))
            .await
            .unwrap_or_else(|_| panic!("not within {DEADLINE:?}"));
    });
}

/// The payload of the longest packet that a host has sent.
fn longest(packets: &[Packet], sender: IpAddr) -> usize {
    packets
        .iter()
        .filter(|packet| packet.source.ip() == sender)
        .map(|packet| packet.payload.len())
        .max()
        .unwrap_or_default()
}
