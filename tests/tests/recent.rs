//! The cache in front of the tables of flows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;

/// More than the second that a connection has to live before its socket remembers it.
const OLD: Duration = Duration::from_millis(1500);

/// One packet in eight is noted: none of so many with a probability of 10^-15.
const ENOUGH: usize = 256;

/// Until the cache knows it for good.
#[track_caller]
fn be_busy(connection: &mut Connection) {
    let opened = Instant::now();
    wait::until("the connection is old", || opened.elapsed() > OLD);
    for _ in 0..ENOUGH {
        connection.exchange("while it is noted");
    }
}

/// A client's packet that nothing knows would begin a flow.
#[test]
fn a_busy_connection_needs_no_table() {
    for address in [SERVER.v4, SERVER.v6] {
        let lan = Lan::new();
        let listener = Listener::bind(&lan.server, 8000);
        let instance = Instance::load(&lan.server, "-i eth0 80:8000");
        let mut connection = Connection::open(&lan.client, SocketAddr::new(address, 80), &listener);
        be_busy(&mut connection);
        assert_eq!(instance.empty_tables().len(), 1);
        for _ in 0..10 {
            connection.exchange("when no table knows it");
        }
        assert_eq!(instance.empty_tables(), [], "the cache did not know it");
    }
}

/// At the server's socket they are the same; also where the table has forgotten the first one.
#[test]
fn a_direct_connection_is_not_taken_for_the_one_before_it() {
    for address in [SERVER.v4, SERVER.v6] {
        for is_evicted in [false, true] {
            let lan = Lan::new();
            let listener = Listener::bind(&lan.server, 8000);
            let instance = Instance::load(&lan.server, "-i eth0 80:8000");
            for port in [80, 8000] {
                let to = SocketAddr::new(address, port);
                let mut connection = Connection::open_from(&lan.client, 50_000, to, &listener);
                be_busy(&mut connection);
                if is_evicted {
                    instance.empty_tables();
                }
                drop(connection);
                wait::until("it is over", || !lan.server.has_live_connections());
            }
        }
    }
}
