//! A line that loses, repeats, reorders and damages packets.

use integration::topology::{Lan, SERVER};

use crate::traffic::Traffic;

/// Each of them is met by some packets of the transfers, both ways.
const LINE: &str = "delay 2ms 1ms loss 2% duplicate 2% corrupt 1% reorder 10%";

#[test]
fn connections_over_a_bad_line() {
    let Lan { client, server } = Lan::new();
    let traffic = Traffic::new(client, server, SERVER);
    for host in [&traffic.client, &traffic.server] {
        host.run(&format!("tc qdisc add dev eth0 root netem {LINE}"));
    }
    let _redirected = traffic.redirect_on(&["eth0"]);
    traffic.tcp("over a bad line");
    for host in [&traffic.client, &traffic.server] {
        let sent = host.run("tc -s qdisc show dev eth0 root");
        assert!(
            sent.contains("dropped") && !sent.contains("dropped 0,"),
            "{sent}"
        );
    }
    let damaged = [&traffic.client, &traffic.server].map(|host| host.snmp("Tcp", "InCsumErrors"));
    assert_ne!(damaged, [0, 0], "no damaged segment was met");
}
