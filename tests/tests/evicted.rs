//! What the tables displace: a connection that no table knows any more is known to its socket, a flow
//! that speaks is not displaced. And what readers see of full tables.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{panic, thread};

use integration::counters::rule;
use integration::redirector::{FlowTable, Instance, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use redirector::kernel::Plain;
use redirector_common::abi::{FlowKey, NO_PORT, NO_RULE, Port};

/// More than the second that a connection has to live before its socket remembers it.
const OLD: Duration = Duration::from_millis(1500);

#[test]
fn the_socket_remembers() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, "80:8000");
    let mut connections = [SERVER.v4, SERVER.v6]
        .map(|address| Connection::open(&lan.client, SocketAddr::new(address, 80), &listener));
    let opened = Instant::now();
    wait::until("the connections are old", || opened.elapsed() > OLD);
    for connection in &mut connections {
        connection.push("while the table knows");
    }
    assert!(instance.forget_flows() >= connections.len());
    for connection in &mut connections {
        // The client's socket takes segments from port 80 only.
        connection.push("when it does not");
    }
}

/// RFC 4787 REQ-6. Enough answered flows to displace every one that is older and silent.
#[test]
fn what_goes_out_refreshes_a_flow() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "-i eth0 53:5353/udp");
    let server = UdpServer::bind(&lan.server, 5353);
    let [speaks, silent] = [(); 2].map(|()| {
        let client = UdpClient::connect(&lan.client, 0, SocketAddr::new(SERVER.v4, 53));
        server.echo(&client, 1, "a flow begins");
        client
    });
    let mut flows = instance.flow_table("FLOWS");
    let key_of = |client: &UdpClient, flows: &FlowTable| {
        let port = client.address().port();
        let is_its = |key: &FlowKey| key.remote_port.get() == port;
        flows.keys().flatten().map(|Plain(key)| key).find(is_its)
    };
    let key = key_of(&silent, &flows).expect("a flow that was answered");
    let flow = flows.get(&Plain(key), 0).expect("the flow");
    for number in 0..2 * FLOWS {
        let other = FlowKey {
            scope: number + 1,
            ..key
        };
        flows.insert(Plain(other), flow, 0).expect("another flow");
        if number % 10_000 == 0 {
            // The client gets what comes from port 53 only.
            server.push(&speaks, "while others come");
        }
    }
    assert!(
        flows.get(&Plain(key), 0).is_err(),
        "the silent one is still there"
    );
    server.push(&speaks, "after all of them");
}

/// However many flows there are, and while others come and go.
#[test]
fn readers_see_every_flow_once() {
    const COUNT: u16 = 20_000;
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "-i eth0 53:5353/udp");
    let server = UdpServer::bind(&lan.server, 5353);
    let client = UdpClient::connect(&lan.client, 0, SocketAddr::new(SERVER.v4, 53));
    server.echo(&client, 1, "a flow begins");
    let mut flows = instance.flow_table("FLOWS");
    let (key, flow) = flows.iter().next().expect("a flow").expect("the flow");
    flows.remove(&key).expect("to forget it");
    let ports = 1..=COUNT;
    let of_port = |port| FlowKey {
        remote_port: Port::new(port),
        ..key.0
    };
    for port in ports.clone() {
        let key = Plain(of_port(port));
        flows.insert(key, flow, 0).expect("another flow");
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut others = instance.flow_table("FLOWS");
            let mut flow = flow;
            flow.0.rule = NO_RULE;
            flow.0.from = NO_PORT;
            for port in ports.clone().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let other = Plain(FlowKey {
                    scope: 1,
                    ..of_port(port)
                });
                others.insert(other, flow, 0).expect("one that comes");
                others.remove(&other).expect("and goes");
            }
        });
        let seen = panic::catch_unwind(|| {
            for _ in 0..5 {
                assert_eq!(rule(&instance.stats(), "udp", 53)["live"], COUNT);
                let document = json(&instance.run("flows", "--json").success("flows"));
                let flows = document["flows"].as_array().expect("flows");
                let clients = flows.iter().map(|flow| flow["client"]["port"].as_u64());
                let mut clients: Vec<_> = clients.map(Option::unwrap_or_default).collect();
                clients.sort_unstable();
                assert!(clients.into_iter().eq(ports.clone().map(u64::from)));
            }
        });
        is_over.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|payload| panic::resume_unwind(payload));
    });
}

/// Places in the table.
const FLOWS: u32 = 262_144;
