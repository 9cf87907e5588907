use super::{LINK_LOCAL, Network, Pump};
use crate::netns::Namespace;
use crate::topology::{
    BRIDGE, CLIENT, CONTAINER, FAR_SIDE, Lan, OTHER, Routed, SERVER, THIRD, lead_through, number,
};

pub fn lan() -> Network {
    let lan = Lan::new();
    // The first address of a list stays the one that redirect moves connections to: over IPv6 that
    // is the newest.
    lan.server.address("eth0", &format!("{}/32", OTHER.v4));
    lan.server
        .ip(&format!("address del {}/64 dev eth0", SERVER.v6));
    for host in [OTHER, SERVER] {
        lan.server.address("eth0", &format!("{}/64", host.v6));
    }
    Network {
        names: vec![(CLIENT, "client"), (SERVER, "server"), (OTHER, "other")],
        ..direct(lan.client, lan.server)
    }
}

pub fn two_cables() -> Network {
    let network = lan();
    network.client.connect("eth1", &network.server, "eth1");
    let hosts = [&network.client, &network.server];
    for (host, address) in hosts.into_iter().zip(LINK_LOCAL) {
        for interface in ["eth0", "eth1"] {
            host.ip(&format!("address flush dev {interface} scope link"));
            host.address(interface, &format!("{address}/64"));
        }
    }
    network
}

pub fn narrow_router() -> Network {
    let routed = Routed::new();
    for network in ["10.77.1.0/24 dev eth0", "10.77.2.0/24 dev eth1"] {
        routed
            .router
            .ip(&format!("route replace {network} mtu lock 1280"));
    }
    for network in ["fd77:1::/64 dev eth0", "fd77:2::/64 dev eth1"] {
        routed.router.ip(&format!(
            "-6 route replace {network} metric 1 mtu lock 1280"
        ));
    }
    Network {
        cables: vec![
            (routed.client.clone(), "eth0"),
            (routed.router.clone(), "eth0"),
            (routed.third.clone(), "eth0"),
        ],
        neighbour: routed.router,
        server_address: THIRD,
        names: vec![(CLIENT, "client"), (THIRD, "server"), (SERVER, "router")],
        ..direct(routed.client, routed.third)
    }
}

pub fn container() -> Network {
    let lan = Lan::new();
    let container = Namespace::new("container");
    // A router asks for its neighbours by a link-local address, which is not usable for a second
    // while others may object to it.
    for host in [&lan.server, &container] {
        host.sysctl("ipv6.conf.default.accept_dad", "0");
    }
    container.connect("eth0", &lan.server, "veth");
    lan.server.ip("link add docker0 up type bridge");
    lan.server.ip("link set veth master docker0");
    number(&lan.server, "docker0", BRIDGE);
    number(&container, "eth0", CONTAINER);
    lan.server.sysctl("ipv4.ip_forward", "1");
    lan.server.sysctl("ipv6.conf.all.forwarding", "1");
    lead_through(&container, BRIDGE);
    let mut network = direct(lan.client, lan.server);
    network
        .names
        .extend([(BRIDGE, "bridge"), (CONTAINER, "container")]);
    network.cables.extend([
        (network.server.clone(), "veth"),
        (container.clone(), "eth0"),
    ]);
    Network {
        container: Some(container),
        ..network
    }
}

pub fn tun() -> Network {
    let [client, router, server] = ["client", "router", "server"].map(Namespace::new);
    client.connect("eth0", &router, "eth0");
    number(&client, "eth0", CLIENT);
    number(&router, "eth0", SERVER);
    let pump = Pump::start(&router, &server, "tun0");
    number(&router, "tun0", FAR_SIDE);
    number(&server, "tun0", THIRD);
    router.sysctl("ipv4.ip_forward", "1");
    router.sysctl("ipv6.conf.all.forwarding", "1");
    lead_through(&client, SERVER);
    lead_through(&server, FAR_SIDE);
    Network {
        cables: vec![(client.clone(), "eth0"), (router.clone(), "eth0")],
        neighbour: router,
        server_address: THIRD,
        names: vec![(CLIENT, "client"), (THIRD, "server"), (SERVER, "router")],
        interfaces: &["tun0", "lo"],
        _pump: Some(pump),
        ..direct(client, server)
    }
}

pub fn bridge(interfaces: &'static [&'static str]) -> Network {
    let network = above("br0", |server| {
        server.ip("link add br0 up type bridge");
        server.ip("link set eth0 master br0");
    });
    Network {
        interfaces,
        ..network
    }
}

pub fn macvlan() -> Network {
    let network = above("mac0", |server| {
        server.ip("link add link eth0 name mac0 type macvlan mode bridge");
        server.ip("link set mac0 up");
        // Else the interface below answers too, as every interface of a host does by default.
        server.sysctl("ipv4.conf.eth0.arp_ignore", "1");
    });
    Network {
        interfaces: &["mac0", "lo"],
        ..network
    }
}

/// The server's address is on an interface above its `eth0`.
fn above(interface: &'static str, add: impl FnOnce(&Namespace)) -> Network {
    let [client, server] = ["client", "server"].map(Namespace::new);
    client.connect("eth0", &server, "eth0");
    add(&server);
    number(&client, "eth0", CLIENT);
    number(&server, interface, SERVER);
    Network {
        gateway: interface,
        ..direct(client, server)
    }
}

/// Client and server on one cable.
fn direct(client: Namespace, server: Namespace) -> Network {
    Network {
        cables: vec![(client.clone(), "eth0"), (server.clone(), "eth0")],
        neighbour: server.clone(),
        client,
        server,
        container: None,
        server_address: SERVER,
        names: vec![(CLIENT, "client"), (SERVER, "server")],
        interfaces: &["eth0", "lo"],
        gateway: "eth0",
        _pump: None,
    }
}
