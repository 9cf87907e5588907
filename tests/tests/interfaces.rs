//! Interfaces that go and come, and interfaces of other kinds.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use integration::bpffs;
use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::Background;
use integration::redirector::{Instance, interface, json};
use integration::server::{Connection, Listener, is_refused};
use integration::topology::{CLIENT, LOOPBACK, Lan, SERVER, number};
use integration::wait;
use nix::net::if_::if_nametoindex;

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn an_interface_that_was_made_again_is_attached_by_a_reload() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    assert_answered(&lan.client, SERVER.both(80), &listener);
    let index = interface(&instance.status(), "eth0")["ifindex"].clone();

    lan.server.ip("link delete eth0");
    let status = instance.run("status", "--json");
    assert_eq!(status.code, Some(5), "{status:#?}");
    let document = json(&status.stdout);
    assert_eq!(document["loaded"], true, "{document}");
    assert_eq!(
        interface(&document, "eth0")["attached"],
        false,
        "{document}"
    );
    assert_eq!(interface(&document, "lo")["attached"], true, "{document}");
    assert_eq!(instance.run("status", "").code, Some(5));
    assert_answered(&lan.server, LOOPBACK.both(80), &listener);

    connect(&lan.client, &lan.server, "eth0", "eth0");
    let status = instance.run("status", "--json");
    assert_eq!(status.code, Some(5), "another eth0: {status:#?}");
    instance.run("reload", RULES).success("reload");
    let status = instance.status();
    assert_eq!(interface(&status, "eth0")["attached"], true, "{status}");
    assert_ne!(interface(&status, "eth0")["ifindex"], index, "{status}");
    assert_eq!(
        status["interfaces"].as_array().map(Vec::len),
        Some(2),
        "{status}"
    );
    assert_answered(&lan.client, SERVER.both(80), &listener);
    assert_answered(&lan.server, LOOPBACK.both(80), &listener);
}

#[test]
fn loopback_is_known_by_any_name() {
    let host = Namespace::new("lone");
    let _listener = Listener::bind(&host, 8000);
    for change in ["down", "name loop0", "up"] {
        let name = if change == "up" { "loop0" } else { "lo" };
        host.ip(&format!("link set {name} {change}"));
    }
    let arguments = "--hook xdp -i loop0 80:8000";
    let instance = Instance::unloaded(&host);
    instance.run("load", arguments).success("load");
    let reload = instance.run("reload", &format!("--dry-run {arguments}"));
    assert_eq!(reload.success("rehearsal"), "nothing would change\n");
}

/// It has read the configuration, and waits for somebody else's change.
#[test]
fn an_interface_that_goes_while_it_is_loaded_is_named() {
    for comes_again in [false, true] {
        let lan = Lan::new();
        let _mounted = Instance::load(&lan.server, "-i lo 81:8001");
        let instance = Instance::unloaded(&lan.server);
        let before = Footprint::of(&instance);
        let lock = bpffs::lock();
        let mut load = Background::start(
            &mut instance.command("load", RULES),
            Background::directory(),
        );
        bpffs::until_waited_for(&load);
        lan.server.ip("link delete eth0");
        if comes_again {
            lan.connect();
        }
        drop(lock);
        assert_eq!(load.end(), Some(1), "{}", load.stderr());
        let told = "error: eth0 went, or became another one";
        assert!(load.stderr().contains(told), "{}", load.stderr());
        assert_eq!(Footprint::of(&instance).pins, before.pins);
    }
}

/// A load must not take what is left of the earlier eth0 for the new one.
#[test]
fn an_interface_that_was_made_again_is_attached_by_a_load_after_an_unload() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    lan.server.ip("link delete eth0");
    instance
        .run("unload", "")
        .success("unload without the interface");
    connect(&lan.client, &lan.server, "eth0", "eth0");
    let before = Footprint::of(&instance);
    instance.run("load", RULES).success("load");
    assert_answered(&lan.client, SERVER.both(80), &listener);
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn a_rule_of_one_interface_works_on_that_alone() {
    const FILE: &str = "
        interfaces = [\"eth0\", \"lo\"]
        [[redirect]]
        from = 80
        to = 8000
        interfaces = [\"eth0\"]
        [[redirect]]
        from = 81
        to = 8000
        interfaces = [\"lo\"]
        [[redirect]]
        from = 443
        to = 8000
    ";
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    fs::write(&file, FILE).expect("a configuration file");
    let _instance = Instance::load(&lan.server, &format!("-c {}", file.display()));
    for (from, host, answered, refused) in [
        (&lan.client, SERVER, [80, 443], 81),
        (&lan.server, LOOPBACK, [81, 443], 80),
        // A host reaches its own addresses over loopback.
        (&lan.server, SERVER, [81, 443], 80),
    ] {
        for port in answered {
            assert_answered(from, host.both(port), &listener);
        }
        for to in host.both(refused) {
            assert!(is_refused(from, to), "{to} from {}", from.name());
        }
    }
}

/// bpffs allows no dots in names.
#[test]
fn an_interface_with_a_dot_in_its_name() {
    const RULES: &str = "-i eth0.10 80:8000";
    let [client, server] = ["client", "server"].map(Namespace::new);
    connect(&client, &server, "eth0", "eth0.10");
    let listener = Listener::bind(&server, 8000);
    let instance = Instance::unloaded(&server);
    let before = Footprint::of(&instance);
    instance.run("load", RULES).success("load");
    assert_answered(&client, SERVER.both(80), &listener);
    let status = instance.status();
    assert_eq!(interface(&status, "eth0.10")["attached"], true, "{status}");
    instance
        .run("reload", "-i eth0.10 81:8000")
        .success("reload");
    assert_answered(&client, SERVER.both(81), &listener);
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

/// A packet passes the port and then the bridge.
#[test]
fn a_bridge_and_its_port() {
    let (client, server) = bridged();
    let listener = Listener::bind(&server, 8000);
    for interfaces in BRIDGED {
        println!("{interfaces}");
        let _instance = Instance::load(&server, &format!("{interfaces} 80:8000"));
        for port in [80, 8000] {
            assert_answered(&client, SERVER.both(port), &listener);
        }
    }
}

/// It is said before anybody wonders.
#[test]
fn a_port_without_its_bridge_is_a_warning() {
    let (client, server) = bridged();
    let listener = Listener::bind(&server, 8000);
    let help = "redirect on the bridge: -i br0";
    let instance = Instance::unloaded(&server);
    let load = instance.run("load", "-i eth0 -i lo 80:8000");
    assert!(load.stderr.contains(help), "{load:#?}");
    load.success("load");
    let to = SocketAddr::new(SERVER.v4, 80);
    Connection::open(&client, to, &listener).exchange("by the port");
    let reload = instance.run("reload", "-i br0 -i lo 80:8000");
    assert!(!reload.stderr.contains(help), "{reload:#?}");
    reload.success("reload");
    Connection::open(&client, to, &listener).exchange("by the bridge");
}

/// What the port has rewritten must not be rewritten again by the bridge.
#[test]
fn a_bridge_and_its_port_do_not_chain() {
    let (client, server) = bridged();
    let listeners = [8000, 9000].map(|port| Listener::bind(&server, port));
    for interfaces in BRIDGED {
        println!("{interfaces}");
        let _instance = Instance::load(&server, &format!("{interfaces} 80:8000 8000:9000"));
        assert_answered(&client, SERVER.both(80), &listeners[0]);
        assert_answered(&client, SERVER.both(8000), &listeners[1]);
    }
}

const BRIDGED: [&str; 3] = ["-i br0", "-i br0 -i eth0", "-i eth0 -i br0 -i lo"];

/// A client, and a server with its address on a bridge over `eth0`.
fn bridged() -> (Namespace, Namespace) {
    let [client, server] = ["client", "server"].map(Namespace::new);
    client.connect("eth0", &server, "eth0");
    number(&client, "eth0", CLIENT);
    server.ip("link add br0 up type bridge");
    server.ip("link set eth0 master br0");
    number(&server, "br0", SERVER);
    (client, server)
}

/// The same address may be another host on another link: the scope tells.
#[test]
fn a_link_local_peer_is_answered() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let _instance = Instance::load(&lan.server, RULES);
    let scope = lan
        .client
        .enter(|| if_nametoindex("eth0"))
        .expect("the client's eth0");
    link_local(&lan.client);
    let to = SocketAddrV6::new(link_local(&lan.server), 80, 0, scope);
    for _ in 0..3 {
        assert_answered(&lan.client, [to.into()], &listener);
    }
}

fn connect(client: &Namespace, server: &Namespace, client_eth: &str, server_eth: &str) {
    client.connect(client_eth, server, server_eth);
    number(client, client_eth, CLIENT);
    number(server, server_eth, SERVER);
}

#[track_caller]
fn assert_answered(
    from: &Namespace,
    to: impl IntoIterator<Item = SocketAddr>,
    listener: &Listener,
) {
    for to in to {
        let case = format!("{to} from {}", from.name());
        let mut connection = Connection::open(from, to, listener);
        connection.exchange(&case);
        connection.push(&case);
    }
}

/// Of `eth0`, once no other host of the link objects to it.
fn link_local(host: &Namespace) -> Ipv6Addr {
    wait::until_some("a link-local address", || {
        let list = json(&host.ip("-6 -json address show dev eth0 scope link -tentative"));
        list.as_array()?
            .iter()
            .filter_map(|link| link["addr_info"].as_array())
            .flatten()
            .find_map(|address| match address["local"].as_str()?.parse().ok()? {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            })
    })
}
