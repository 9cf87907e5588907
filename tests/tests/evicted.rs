//! What the tables displace: a connection that no table knows any more is known to its socket, a flow
//! that speaks is not displaced.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use redirector::kernel::Plain;
use redirector_common::abi::{Flow, FlowKey};

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
    assert!(forget(&instance) >= connections.len());
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
    let mut flows = table(&instance, "FLOWS");
    let key_of = |client: &UdpClient, flows: &Flows| {
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

/// Places in the table.
const FLOWS: u32 = 262_144;

type Flows = HashMap<MapData, Plain<FlowKey>, Plain<Flow>>;

fn table(instance: &Instance, name: &str) -> Flows {
    let data = MapData::from_pin(instance.pins().join("maps").join(name)).expect("the table");
    Map::LruHashMap(data).try_into().expect("a hash")
}

/// The count of flows that are no longer in the tables.
fn forget(instance: &Instance) -> usize {
    let mut count = 0;
    for name in ["PENDING", "FLOWS"] {
        let mut flows = table(instance, name);
        let keys: Vec<_> = flows.keys().filter_map(Result::ok).collect();
        for key in keys {
            flows.remove(&key).expect("to forget");
            count += 1;
        }
    }
    count
}
