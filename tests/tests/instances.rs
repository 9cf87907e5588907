//! Several instances on one host.

use std::net::SocketAddr;

use integration::footprint::Footprint;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::Lan;

/// What a second instance may not have beside `80:8000` on the same interfaces.
const MEETING: &[&str] = &["80:9000", "8000:9000", "90:80", "81:8001 80:8000"];

#[test]
fn instances_that_meet_are_refused() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let first = Instance::load(&lan.server, "-i eth0 80:8000");
    let second = Instance::unloaded(&lan.server);
    let before = Footprint::of(&second);
    for rules in MEETING {
        let load = second.run("load", &format!("-i lo -i eth0 {rules}"));
        assert_eq!(load.code, Some(1), "{rules}: {load:#?}");
        for word in [first.name(), "eth0", "80:8000/tcp"] {
            assert!(load.stderr.contains(word), "{word}, {rules}: {load:#?}");
        }
        assert_eq!(Footprint::of(&second), before, "{rules}");
    }
    for (from, address) in lan.places().into_iter().take(2) {
        Connection::open(from, SocketAddr::new(address, 80), &listener).exchange("port 80");
    }
}

/// Another port, another protocol, another interface, the same target.
#[test]
fn instances_that_do_not_meet_work_side_by_side() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _first = Instance::load(&lan.server, "-i eth0 80:8000");
    for other in ["-i eth0 81:8000", "-i eth0 80:8000/udp", "-i lo 80:8000"] {
        let instance = Instance::load(&lan.server, other);
        assert_eq!(instance.status()["loaded"], true, "{other}");
        for (from, address) in lan.places().into_iter().take(2) {
            let to = SocketAddr::new(address, 80);
            Connection::open(from, to, &listener).exchange(other);
        }
    }
}
