//! XDP on a host that sends on what was redirected, as to a container.

use integration::capture::{Capture, assert_checksums};
use integration::datapath::nft;
use integration::netns::Offloads;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Routed, SERVER, THIRD};
use integration::udp::{UdpClient, UdpServer};
use integration::xdp::{Accelerator, MODES};

/// Without a checksum yet a packet is TC's, which knows who computes it: else what is forwarded, here into
/// a network without offloads, would get a wrong one.
#[test]
fn unfinished_checksums_are_left_to_tc() {
    for mode in MODES {
        let network = Routed::new();
        network.router.offloads("eth1", Offloads::Off);
        network.third.offloads("eth0", Offloads::Off);
        let instance = Instance::load(&network.router, "-i eth0 80:8000 53:5353/udp");
        let _xdp = Accelerator::attach(&instance, "eth0", mode);
        to_third(&network);
        let listener = Listener::bind(&network.third, 8000);
        let server = UdpServer::bind(&network.third, 5353);
        let capture = Capture::start(&network.third, "eth0");
        for to in SERVER.both(80) {
            Connection::open(&network.client, to, &listener).exchange(&format!("{to}, {mode:?}"));
        }
        for to in SERVER.both(53) {
            let client = UdpClient::connect(&network.client, 0, to);
            server.exchange(&client, &format!("{to}, {mode:?}"));
        }
        assert_checksums(&capture.stop());
        for protocol in ["Tcp", "Udp"] {
            assert_eq!(network.third.snmp(protocol, "InCsumErrors"), 0, "{mode:?}");
        }
    }
}

/// A host behind the one that redirected redirects once more, within one kernel.
#[test]
fn the_next_host_sees_no_mark() {
    for mode in MODES {
        let network = Routed::new();
        network.client.offloads("eth0", Offloads::Off);
        let router = Instance::load(&network.router, "-i eth0 80:8000 53:5353/udp");
        let _xdp = Accelerator::attach(&router, "eth0", mode);
        let _third = Instance::load(&network.third, "-i eth0 8000:9000 5353:9353/udp");
        to_third(&network);
        let listener = Listener::bind(&network.third, 9000);
        let server = UdpServer::bind(&network.third, 9353);
        for to in SERVER.both(80) {
            let mut connection = Connection::open(&network.client, to, &listener);
            for _ in 0..3 {
                connection.exchange(&format!("{to}, {mode:?}"));
            }
        }
        for to in SERVER.both(53) {
            let client = UdpClient::connect(&network.client, 0, to);
            server.exchange(&client, &format!("{to}, {mode:?}"));
        }
    }
}

/// Has the router send on to the third host what was redirected.
fn to_third(network: &Routed) {
    nft(
        &network.router,
        &format!(
            "table inet inside {{
                 chain prerouting {{
                     type nat hook prerouting priority dstnat
                     tcp dport 8000 dnat ip to {v4}
                     tcp dport 8000 dnat ip6 to {v6}
                     udp dport 5353 dnat ip to {v4}
                     udp dport 5353 dnat ip6 to {v6}
                 }}
             }}",
            v4 = THIRD.v4,
            v6 = THIRD.v6,
        ),
    );
}
