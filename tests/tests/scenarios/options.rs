//! What a connection negotiates, and much data.

use std::io;
use std::mem::MaybeUninit;

use integration::netns::{Namespace, Offloads};
use integration::scenario::{Family, Peer, Place, Scenario, Stage};
use integration::wait;
use socket2::SockRef;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("megabyte_each_way", megabyte_each_way)
        .checks("a large body arrives whole in each direction, in super-packets or not")
        .offloads(&[Offloads::On, Offloads::Off])
        .places(Place::ALL),
    Scenario::new("megabyte_both_ways", megabyte_both_ways)
        .checks("large bodies cross each other")
        .offloads(&[Offloads::On, Offloads::Off]),
    Scenario::new("jumbo_frames", jumbo_frames)
        .checks("segments of a 9000-byte link arrive whole")
        .offloads(&[Offloads::On, Offloads::Off]),
    Scenario::new("segment_size", segment_size)
        .checks("the size that each end announces is the size that the other sends")
        .places(Place::ALL),
    Scenario::new("ecn", ecn).checks("explicit congestion notification is negotiated and used"),
    Scenario::new("no_timestamps", no_timestamps)
        .checks("connections without timestamps, window scaling and selective ACKs are served"),
    Scenario::new("urgent_data", urgent_data)
        .checks("the urgent byte arrives beside the stream")
        .places(Place::ALL),
];

fn megabyte_each_way(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, &body(251)).shutdown();
    server.expect_eof().deliver(&client, &body(241)).close();
    client.expect_eof().close();
}

fn megabyte_both_ways(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    let (request, answer) = (body(251), body(241));
    let sent = [&client, &server].map(Peer::stream);
    std::thread::scope(|scope| {
        for (stream, bytes) in sent.iter().zip([&request, &answer]) {
            scope.spawn(|| io::Write::write_all(&mut &**stream, bytes).expect("send"));
        }
        scope.spawn(|| client.expect(&answer));
        server.expect(&request);
    });
}

fn jumbo_frames(stage: &Stage) {
    let hosts = [stage.client_host(), stage.server_host()];
    for host in hosts {
        host.ip("link set eth0 mtu 9000");
    }
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, &body(251));
    server.deliver(&client, &body(241));
    for peer in [&client, &server] {
        assert!(segment(peer) > 8000, "{} bytes", segment(peer));
    }
    for host in hosts {
        host.ip("link set eth0 mtu 1500");
    }
}

fn segment_size(stage: &Stage) {
    let listener = stage.listen(8000);
    let client = stage
        .dial(80)
        .with(|socket| socket.set_tcp_mss(600))
        .connect();
    let server = listener.accept();
    client.deliver(&server, &body(251)[..20_000]);
    server.deliver(&client, &body(241)[..20_000]);
    for peer in [&client, &server] {
        peer.note(format!("segments of {}", segment(peer)));
    }
    assert!(segment(&server) <= 600, "{}", segment(&server));
}

fn ecn(stage: &Stage) {
    let hosts = [stage.client_host(), stage.server_host()];
    for host in hosts {
        host.sysctl("ipv4.tcp_ecn", "1");
    }
    let marked = || hosts.map(|host| marked_packets(host, stage.family()));
    let before = marked();
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, &body(251)[..50_000]);
    server.deliver(&client, &body(241)[..50_000]);
    for (now, before) in marked().into_iter().zip(before) {
        assert!(now > before, "no packet is marked");
    }
}

/// Received ones that say that their sender knows explicit congestion notification, ECT(0).
fn marked_packets(host: &Namespace, family: Family) -> u64 {
    let name = match family {
        Family::V4 => "IpExtInECT0Pkts",
        Family::V6 => "Ip6InECT0Pkts",
    };
    let counters = host.run("nstat -asz");
    let mut words = counters.split_whitespace();
    words.find(|word| *word == name).expect("a counter");
    let count = words.next().and_then(|count| count.parse().ok());
    count.expect("a number")
}

fn no_timestamps(stage: &Stage) {
    let switch = |host: &Namespace, state| {
        for option in ["timestamps", "window_scaling", "sack"] {
            host.sysctl(&format!("ipv4.tcp_{option}"), state);
        }
    };
    switch(stage.client_host(), "0");
    let (client, server) = stage.connection(80, 8000);
    client.deliver(&server, &body(251));
    server.deliver(&client, &body(241));
    switch(stage.client_host(), "1");
}

fn urgent_data(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    for (from, to) in [(&client, &server), (&server, &client)] {
        from.send(b"before");
        let stream = from.stream();
        let sent = SockRef::from(&*stream).send_out_of_band(b"!");
        assert_eq!(sent.expect("an urgent byte"), 1);
        from.send(b"behind");
        let stream = to.stream();
        let mut urgent = [MaybeUninit::uninit()];
        let length = wait::until_some("the urgent byte", || {
            SockRef::from(&*stream).recv_out_of_band(&mut urgent).ok()
        });
        to.note(format!("received {length} urgent byte"));
        to.expect(b"before").expect(b"behind");
    }
}

fn segment(peer: &Peer) -> u32 {
    let stream = peer.stream();
    SockRef::from(&*stream).tcp_mss().expect("the segment size")
}

fn body(modulus: u32) -> Vec<u8> {
    (0..1 << 20)
        .map(|index: u32| (index % modulus) as u8)
        .collect()
}
