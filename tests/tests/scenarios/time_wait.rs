//! A client port that is used again right after a connection.

use std::time::{Duration, Instant};

use integration::scenario::{Difference, Peer, Place, Scenario, Stage};
use integration::wait;

/// What lives is not harmed by either: the old connection is over at both ends, or at the server's.
const CONNTRACK_REMEMBERS: Difference = Difference::new(
    "conntrack remembers a connection for a while after its end and moves the client's next port; \
     for the redirector a tuple is free once the server's kernel has no connection there",
)
.in_server();

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("server_waits", |stage| {
        again(stage, Ends::Server, [80, 80, 80])
    })
    .checks("the server's end is in TIME-WAIT when the client's port returns")
    .places(Place::ALL),
    Scenario::new("server_waits_and_port_changes", |stage| {
        again(stage, Ends::Server, [80, 8000, 80])
    })
    .checks("the same, and the client asks the wire port and the target by turns")
    .places(Place::ALL),
    Scenario::new("server_waits_and_wire_port_changes", |stage| {
        again(stage, Ends::Server, [80, 81, 80])
    })
    .rules(&["80:8000", "81:8000"])
    .checks("the same with two wire ports of one target")
    .places(Place::ALL),
    Scenario::new("client_closes_first", |stage| {
        again(stage, Ends::Client, [80, 80, 80])
    })
    .checks("a client that does not wait uses its port again at once"),
    Scenario::new("client_closes_first_and_port_changes", |stage| {
        again(stage, Ends::Client, [80, 8000, 80])
    })
    .checks("the same, and the client asks the wire port and the target by turns")
    .differs(CONNTRACK_REMEMBERS),
    Scenario::new("client_waits", client_waits)
        .checks("the client's end is in TIME-WAIT and its port goes to the target")
        .places(Place::ALL)
        .differs(CONNTRACK_REMEMBERS),
    Scenario::new("reset_and_again", |stage| {
        again(stage, Ends::Reset, [80, 8000, 80])
    })
    .checks("after an RST the client's port is used again at once")
    .places(Place::ALL)
    .differs(CONNTRACK_REMEMBERS),
    Scenario::new("restart_over_fin_wait", restart_over_fin_wait)
        .checks("a new listener serves while connections of the old one are half closed")
        .places(Place::ALL),
];

/// A SYN is repeated after a second.
const AT_ONCE: Duration = Duration::from_millis(900);

#[derive(Clone, Copy)]
enum Ends {
    Server,
    Client,
    Reset,
}

fn again(stage: &Stage, ends: Ends, ports: [u16; 3]) {
    match ends {
        Ends::Client => stage.client_host().sysctl("ipv4.tcp_max_tw_buckets", "0"),
        // RFC 1337: an RST does not end TIME-WAIT, so it is the SYN that must be right.
        Ends::Server => stage.server_host().sysctl("ipv4.tcp_rfc1337", "1"),
        Ends::Reset => {}
    }
    let listener = stage.listen(8000);
    for port in ports {
        let start = Instant::now();
        let client = stage.dial(port).from(stage.source_port(0)).connect();
        let took = start.elapsed();
        assert!(took < AT_ONCE, "connected to {port} after {took:?}");
        let server = listener.accept();
        exchange(&client, &server);
        match ends {
            Ends::Server => close(&server, &client),
            Ends::Client => close(&client, &server),
            Ends::Reset => {
                client.abort();
                server.expect_reset().close();
            }
        }
        wait::until("both ends are closed", || {
            let hosts = [stage.client_host(), stage.server_host()];
            !hosts.iter().any(|host| host.has_live_connections())
        });
    }
    listener.expect_nobody();
}

fn client_waits(stage: &Stage) {
    let listener = stage.listen(8000);
    for port in [80, 8000] {
        let client = stage.dial(port).from(stage.source_port(0)).connect();
        let server = listener.accept();
        exchange(&client, &server);
        close(&client, &server);
    }
}

fn restart_over_fin_wait(stage: &Stage) {
    let listener = stage.listen(8000);
    let old = (stage.connect(80), listener.accept());
    exchange(&old.0, &old.1);
    old.1.shutdown();
    old.0.expect_eof();
    drop(listener);
    stage.dial(80).refused();

    let listener = stage.listen(8000);
    let new = (stage.connect(80), listener.accept());
    exchange(&new.0, &new.1);
    old.0.deliver(&old.1, b"to the half that is open").close();
    old.1.expect_eof().close();
    exchange(&new.0, &new.1);
    close(&new.1, &new.0);
}

fn close(first: &Peer, second: &Peer) {
    first.shutdown();
    second.expect_eof().close();
    first.expect_eof().close();
}

fn exchange(client: &Peer, server: &Peer) {
    client.deliver(server, b"a request");
    server.deliver(client, b"an answer");
}
