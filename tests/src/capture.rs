//! tcpdump on an interface: what was on the wire, whoever redirected.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::SockRef;

use crate::netns::Namespace;
use crate::packet::{Packet, read_pcap};
use crate::process::Background;
use crate::wait;

/// The discard port: packets of the capture itself.
const MARKER_PORT: u16 = 9;
const MARKER: &[u8] = b"the capture ends here";

pub struct Capture {
    tcpdump: Background,
    host: Namespace,
    interface: String,
}

impl Capture {
    /// Captures whole packets from now on.
    pub fn start(host: &Namespace, interface: &str) -> Self {
        let directory = Background::directory();
        let file = directory.path().join("pcap");
        let mut command = host.command("tcpdump");
        command
            .args([
                "-Z",
                "root",
                "--immediate-mode",
                "-U",
                "-n",
                "-s",
                "0",
                "-B",
                "16384",
            ])
            .args(["-i", interface, "-w"])
            .arg(file);
        let mut tcpdump = Background::start(&mut command, directory);
        wait::until("tcpdump listens", || {
            let listens = tcpdump.stderr().contains("listening on");
            if !listens {
                tcpdump.assert_running();
            }
            listens
        });
        Self {
            tcpdump,
            host: host.clone(),
            interface: interface.to_owned(),
        }
    }

    /// Everything that passed until now: a marker of our own is behind it in the queue.
    pub fn stop(mut self) -> Vec<Packet> {
        self.send_marker();
        let file = self.tcpdump.path("pcap");
        let mut packets = wait::until_some("the marker is captured", || {
            let packets = read_pcap(&fs::read(&file).unwrap_or_default());
            packets.iter().any(is_marker).then_some(packets)
        });
        self.tcpdump.interrupt();
        let stderr = self.tcpdump.stderr();
        assert!(
            stderr.contains("\n0 packets dropped by kernel"),
            "tcpdump: {stderr}"
        );
        packets.retain(|packet| !packet.involves(MARKER_PORT));
        packets
    }

    fn send_marker(&self) {
        let socket = self
            .host
            .enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)));
        let socket = socket.expect("a socket for the marker");
        SockRef::from(&socket)
            .bind_device(Some(self.interface.as_bytes()))
            .expect("a socket of the interface");
        socket.set_broadcast(true).expect("a broadcasting socket");
        let everyone = SocketAddr::from((Ipv4Addr::BROADCAST, MARKER_PORT));
        socket.send_to(MARKER, everyone).expect("the marker");
    }
}

fn is_marker(packet: &Packet) -> bool {
    packet.destination.port() == MARKER_PORT && packet.payload == MARKER
}

/// The ports of `host`'s side in a capture, wherever `host` is sender or receiver.
pub fn ports_of(packets: &[Packet], host: std::net::IpAddr) -> BTreeSet<u16> {
    packets
        .iter()
        .flat_map(|packet| [packet.source, packet.destination])
        .filter(|address| address.ip() == host)
        .map(|address| address.port())
        .collect()
}

/// Every checksum is right; for captures with the sender's checksum offload off.
#[track_caller]
pub fn assert_checksums(packets: &[Packet]) {
    assert!(!packets.is_empty(), "nothing was captured");
    for packet in packets {
        assert!(
            packet.checksums_are_right,
            "a bad checksum on the wire: {packet:?}"
        );
    }
}
