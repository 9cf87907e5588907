//! Moving over from netfilter's redirect while connections live.

use std::net::SocketAddr;

use integration::counters::rule;
use integration::datapath::{Datapath, nft};
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};

/// Those that netfilter redirected go on beside a load, and after its rules are gone; new ones are the
/// redirector's.
#[test]
fn connections_of_netfilter_go_on() {
    let lan = Lan::new();
    // Without any rule that asks it, conntrack would end with the redirection.
    Datapath::Nft.watch(&lan.server);
    let netfilter = Datapath::Nft.redirect(&lan.server, &["80:8000"]);
    let listener = Listener::bind(&lan.server, 8000);
    let open = || {
        lan.places()
            .map(|(from, address)| Connection::open(from, SocketAddr::new(address, 80), &listener))
    };
    // The first packet after the load is the client's, or the application's.
    let [mut spoken, mut silent, mut pushed] = [open(), open(), open()];
    for connection in &mut spoken {
        connection.exchange("before the load");
    }
    let instance = Instance::load(&lan.server, "-i eth0 -i lo 80:8000");
    let mut everyone = |when: &str| {
        for connection in &mut pushed {
            connection.push(when);
            connection.exchange(when);
        }
        for connection in spoken.iter_mut().chain(&mut silent) {
            connection.exchange(when);
        }
    };
    everyone("beside the load");
    assert_eq!(connections(&instance), 0);

    let mut new = SERVER
        .both(80)
        .map(|to| Connection::open(&lan.client, to, &listener));
    for connection in &mut new {
        connection.exchange("new");
    }
    assert_eq!(connections(&instance), 2);

    for chain in ["prerouting", "output"] {
        nft(&lan.server, &format!("flush chain inet oracle {chain}"));
    }
    everyone("without netfilter's rules");
    instance
        .run("reload", "-i eth0 -i lo 80:8000 82:8200")
        .success("reload");
    everyone("after a reload");

    // With its last chain of that type netfilter ends its connections, and ours go on.
    drop(netfilter);
    for connection in &mut new {
        connection.exchange("without netfilter");
    }
}

fn connections(instance: &Instance) -> u64 {
    let stats = instance.stats();
    rule(&stats, "tcp", 80)["connections"]
        .as_u64()
        .expect("a number")
}
