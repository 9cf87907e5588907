//! Traffic to a redirected port is answered by the application, and nobody notices.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use integration::capture::{Capture, assert_checksums, ports_of};
use integration::datapath::Datapath;
use integration::http::{Nginx, curl};
use integration::netns::Offloads;
use integration::server::{Connection, Listener, connect, is_refused};
use integration::topology::{Lan, SERVER};
use integration::udp::{UdpClient, UdpServer};
use socket2::SockRef;

const WEB: &[&str] = &["80:8000", "443:4430"];

/// The port that is asked, and the port that answers.
const WEB_PORTS: [(u16, u16); 4] = [(80, 8000), (443, 4430), (8000, 8000), (4430, 4430)];

#[test]
fn nginx_answers_curl_wherever_it_runs() {
    let lan = Lan::new();
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let _redirected = Datapath::under_test().redirect(&lan.server, WEB);
    for offloads in [Offloads::On, Offloads::Off] {
        lan.offloads(offloads);
        for (from, address) in lan.places() {
            for (port, target) in WEB_PORTS {
                let to = SocketAddr::new(address, port);
                let case = format!("{to} from {}, offloads {offloads:?}", from.name());
                let answer = curl(from, to).unwrap_or_else(|output| panic!("{case}: {output:#?}"));
                assert_eq!(answer.server_port, target, "{case}");
                assert_eq!(
                    answer.seen, answer.client,
                    "the client as nginx sees it, {case}"
                );
            }
        }
    }
    lan.assert_no_bad_checksum();
}

#[test]
fn the_wire_shows_the_port_that_was_asked() {
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let _redirected = Datapath::under_test().redirect(&lan.server, WEB);
    for (port, _) in WEB_PORTS {
        for to in SERVER.both(port) {
            let captures = [&lan.client, &lan.server].map(|host| Capture::start(host, "eth0"));
            curl(&lan.client, to).unwrap_or_else(|output| panic!("{to}: {output:#?}"));
            for packets in captures.map(Capture::stop) {
                assert_eq!(ports_of(&packets, to.ip()), BTreeSet::from([port]), "{to}");
                assert_checksums(&packets);
            }
        }
    }
}

#[test]
fn loopback_shows_the_port_that_was_asked() {
    let lan = Lan::new();
    let datapath = Datapath::under_test();
    let _nginx = Nginx::start(&lan.server, &[8000]);
    let _redirected = datapath.redirect(&lan.server, WEB);
    for (from, address) in &lan.places()[2..] {
        for port in [80, 8000] {
            let to = SocketAddr::new(*address, port);
            let capture = Capture::start(&lan.server, "lo");
            let client = curl(from, to)
                .unwrap_or_else(|output| panic!("{output:#?}"))
                .client;
            let mut expected = BTreeSet::from([port, client.port()]);
            if datapath == Datapath::Nft {
                // Its output hook has rewritten the request before loopback carries it.
                expected.insert(8000);
            }
            assert_eq!(ports_of(&capture.stop(), *address), expected, "{to}");
        }
    }
}

#[test]
fn a_direct_connection_beside_a_redirected_one_keeps_its_port() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, WEB);
    for (from, address) in lan.places() {
        let [mut redirected, mut direct] = [80, 8000]
            .map(|port| Connection::open(from, SocketAddr::new(address, port), &listener));
        for round in 0..3 {
            redirected.exchange(&format!("{address} redirected, round {round}"));
            direct.exchange(&format!("{address} direct, round {round}"));
        }
    }
}

/// Both connections of one client port are reset, of which the direct one was moved. Under SYN cookies no socket
/// told that it is over.
#[test]
fn a_client_port_is_its_own_again() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _redirected = Datapath::under_test().redirect(&lan.server, WEB);
    let [wire, target] = [80, 8000].map(|port| SocketAddr::new(SERVER.v4, port));
    let open = |to| {
        let client = connect(&lan.client, 20_010, to).expect("it is served");
        let server = listener.accept();
        let port = server.peer_addr().expect("a peer").port();
        (client, server, port)
    };
    let reset = |client, mut server: TcpStream| {
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .expect("a reset at the end");
        drop::<TcpStream>(client);
        let end = server.read(&mut [0]).expect_err("it is reset");
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    };
    for cookies in ["1", "2"] {
        let first = open(wire);
        lan.server.sysctl("ipv4.tcp_syncookies", cookies);
        let second = open(target);
        lan.server.sysctl("ipv4.tcp_syncookies", "1");
        assert_ne!(first.2, second.2);
        for (client, server, _) in [first, second] {
            reset(client, server);
        }
        let (mut client, mut server, _) = open(target);
        client.write_all(b"again").expect("a request");
        let mut request = [0; 5];
        server.read_exact(&mut request).expect("the request");
        reset(client, server);
    }
}

#[test]
fn a_target_that_is_another_rules_source_does_not_chain() {
    let lan = Lan::new();
    let [web, other] = [8000, 9000].map(|port| Listener::bind(&lan.server, port));
    let _redirected = Datapath::under_test().redirect(&lan.server, &["80:8000", "8000:9000"]);
    for (from, address) in lan.places() {
        let [mut first, mut second] = [(80, &web), (8000, &other)].map(|(port, listener)| {
            Connection::open(from, SocketAddr::new(address, port), listener)
        });
        first.exchange("80, answered by 8000");
        second.exchange("8000, answered by 9000");
    }
}

#[test]
fn a_target_that_nobody_listens_on_refuses() {
    let lan = Lan::new();
    let _redirected = Datapath::under_test().redirect(&lan.server, WEB);
    for (from, address) in lan.places() {
        for port in [80, 8000] {
            let to = SocketAddr::new(address, port);
            assert!(is_refused(from, to), "{to} from {}", from.name());
        }
    }
}

#[test]
fn udp_is_answered_wherever_it_comes_from() {
    let lan = Lan::new();
    let server = UdpServer::bind(&lan.server, 5353);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["53:5353/udp"]);
    for offloads in [Offloads::On, Offloads::Off] {
        lan.offloads(offloads);
        for (from, address) in lan.places() {
            for port in [53, 5353] {
                let to = SocketAddr::new(address, port);
                let case = format!("{to} from {}, offloads {offloads:?}", from.name());
                server.exchange(&UdpClient::connect(from, 0, to), &case);
            }
        }
    }
    lan.assert_no_bad_checksum();
}

#[test]
fn udp_keeps_its_checksum_on_the_wire() {
    let lan = Lan::new();
    lan.offloads(Offloads::Off);
    let server = UdpServer::bind(&lan.server, 5353);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["53:5353/udp"]);
    for to in SERVER.both(53) {
        let capture = Capture::start(&lan.client, "eth0");
        server.exchange(&UdpClient::connect(&lan.client, 0, to), &to.to_string());
        let packets = capture.stop();
        assert_eq!(ports_of(&packets, to.ip()), BTreeSet::from([53]));
        assert_checksums(&packets);
    }
}

/// Only the first fragment carries ports.
#[test]
fn fragmented_udp_is_answered() {
    let lan = Lan::new();
    let server = UdpServer::bind(&lan.server, 5353);
    let _redirected = Datapath::under_test().redirect(&lan.server, &["53:5353/udp"]);
    for offloads in [Offloads::On, Offloads::Off] {
        lan.offloads(offloads);
        for to in SERVER.both(53) {
            let client = UdpClient::connect(&lan.client, 0, to);
            for size in [1500, 4000, 20_000] {
                server.echo(&client, size, &format!("{to}, offloads {offloads:?}"));
            }
        }
    }
    lan.assert_no_bad_checksum();
}
