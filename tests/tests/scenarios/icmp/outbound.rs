//! Errors by the server, about what it got at the target port.

use std::io::ErrorKind;

use integration::datapath::nft;
use integration::scenario::{Family, Place, Scenario, Stage};
use integration::wait;

use super::DNS;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("udp_nobody_listens", udp_nobody_listens)
        .rules(DNS)
        .places(Place::ALL)
        .checks("a client is told that nobody listens at the target, about the port it asked"),
    Scenario::new("udp_server_goes_away", udp_server_goes_away)
        .rules(DNS)
        .places(Place::ALL)
        .checks("a client that was answered is told when the application ends"),
    Scenario::new("udp_rejected_by_firewall", udp_rejected_by_firewall)
        .rules(DNS)
        .places(Place::ALL)
        .checks("the firewall's error is about the port that was asked"),
    Scenario::new("tcp_rejected_by_firewall", tcp_rejected_by_firewall)
        .places(Place::ALL)
        .checks("the firewall's error about a SYN ends the client's attempt"),
    Scenario::new("tcp_reset_by_firewall", tcp_reset_by_firewall)
        .places(Place::ALL)
        .checks("the firewall's RST comes from the port that was asked"),
    Scenario::new("live_connection_rejected", live_connection_rejected)
        .checks("an error about a segment of a live connection reaches the client's socket"),
];

fn udp_nobody_listens(stage: &Stage) {
    let client = stage.udp_client(53);
    for question in [b"anybody?".as_slice(), b"nobody?"] {
        client.send(question).expect_error("ECONNREFUSED");
    }
}

fn udp_server_goes_away(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client(53);
    client.send(b"anybody?");
    server.expect(b"anybody?").send(b"somebody");
    client.expect(b"somebody");
    drop(server);
    // A program that another scenario is just starting may hold a copy of it.
    wait::until("nobody receives", || !stage.server_host().receives_on(5353));
    client.send(b"still?").expect_error("ECONNREFUSED");
}

fn udp_rejected_by_firewall(stage: &Stage) {
    let _server = stage.udp_server(5353);
    firewall(stage, "udp dport 5353 reject with icmpx port-unreachable");
    let client = stage.udp_client(53);
    client.send(b"may I?").expect_error("ECONNREFUSED");
}

fn tcp_rejected_by_firewall(stage: &Stage) {
    let listener = stage.listen(8000);
    firewall(stage, "tcp dport 8000 reject with icmpx admin-prohibited");
    let error = stage.dial(80).outcome().err().expect("no connection");
    let expected = match stage.family() {
        Family::V4 => ErrorKind::HostUnreachable,
        Family::V6 => ErrorKind::PermissionDenied,
    };
    assert_eq!(error.kind(), expected, "{error}");
    listener.expect_nobody();
}

fn tcp_reset_by_firewall(stage: &Stage) {
    let listener = stage.listen(8000);
    firewall(stage, "tcp dport 8000 reject with tcp reset");
    stage.dial(80).refused();
    listener.expect_nobody();
}

fn live_connection_rejected(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    super::report_errors(&*client.stream());
    client.deliver(&server, b"a request");
    firewall(stage, "tcp dport 8000 reject with icmpx host-unreachable");
    client.send(b"another");
    super::expect_error(&client, "EHOSTUNREACH");
    firewall(stage, "");
    server.expect(b"another").send(b"an answer");
    client.expect(b"an answer");
}

/// Input on the server, until the next rule.
fn firewall(stage: &Stage, rule: &str) {
    nft(
        stage.server_host(),
        &format!(
            "table inet firewall
             delete table inet firewall
             table inet firewall {{
                 chain input {{ type filter hook input priority filter; {rule}; }}
             }}"
        ),
    );
}
