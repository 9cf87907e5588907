//! A connection that no table knows any more: its socket does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aya::maps::{HashMap, Map, MapData};
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
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

/// The count of flows that are no longer in the tables.
fn forget(instance: &Instance) -> usize {
    let maps = instance.pins().join("maps");
    let mut count = 0;
    for table in ["PENDING", "FLOWS"] {
        let data = MapData::from_pin(maps.join(table)).expect("the table");
        let mut flows: HashMap<_, Plain<FlowKey>, Plain<Flow>> =
            Map::LruHashMap(data).try_into().expect("a hash");
        let keys: Vec<_> = flows.keys().filter_map(Result::ok).collect();
        for key in keys {
            flows.remove(&key).expect("to forget");
            count += 1;
        }
    }
    count
}
