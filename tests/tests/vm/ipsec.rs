//! IPsec, with an interface of its own and without. Without one the answers are encrypted before they come to
//! traffic control.

use integration::datapath::Datapath;
use integration::netns::Namespace;
use integration::server::{Listener, connect};
use integration::topology::{Host, Lan, SERVER, number};

use crate::traffic::{INSIDE, OUTSIDE, Traffic};

const INTERFACE_ID: u32 = 7;

#[test]
fn on_an_interface_of_xfrm() {
    let traffic = tunnel();
    let _redirected = traffic.redirect_on(&["xfrm0"]);
    traffic.tcp("through the tunnel");
    traffic.udp("through the tunnel");
    traffic.assert_no_bad_checksum();
}

/// What `docs/migration.md` says of it: REDIRECT works there, the redirector does not.
#[test]
fn without_an_interface_of_its_own() {
    for (datapath, is_answered) in [(Datapath::Nft, true), (Datapath::Redirector, false)] {
        let Lan { client, server } = Lan::new();
        for (this, host) in [(0, &client), (1, &server)] {
            protect(host, this, "transport", [&OUTSIDE, &OUTSIDE], "");
        }
        let _listener = Listener::bind(&server, 8000);
        let _redirected = datapath.redirect(&server, &["80:8000"]);
        for to in SERVER.both(80) {
            let answered = connect(&client, 0, to).is_ok();
            assert_eq!(answered, is_answered, "{datapath:?}: {to}");
        }
    }
}

fn tunnel() -> Traffic {
    let Lan { client, server } = Lan::new();
    for (this, host) in [(0, &client), (1, &server)] {
        host.ip(&format!(
            "link add xfrm0 type xfrm dev eth0 if_id {INTERFACE_ID}"
        ));
        host.ip("link set xfrm0 up");
        number(host, "xfrm0", INSIDE[this]);
        let id = format!("if_id {INTERFACE_ID}");
        protect(host, this, "tunnel", [&INSIDE, &OUTSIDE], &id);
    }
    Traffic::new(client, server, INSIDE[1])
}

/// Encrypts what goes between the `ends`, of both families, in packets between the `gates`.
fn protect(host: &Namespace, this: usize, mode: &str, [ends, gates]: [&[Host; 2]; 2], id: &str) {
    const KEY: &str = "0x000102030405060708090a0b0c0d0e0f10111213";
    for v6 in [false, true] {
        let address = |host: &Host| if v6 { host.v6 } else { host.v4 };
        for (from, to) in [(0, 1), (1, 0)] {
            let [source, destination] = [from, to].map(|end| address(&gates[end]));
            let spi = 0x100 + from;
            host.ip(&format!(
                "xfrm state add src {source} dst {destination} proto esp spi {spi} reqid 1 \
                 mode {mode} aead rfc4106(gcm(aes)) {KEY} 128 {id}"
            ));
            let direction = if from == this { "out" } else { "in" };
            let [first, second] = [from, to].map(|end| address(&ends[end]));
            host.ip(&format!(
                "xfrm policy add src {first} dst {second} dir {direction} \
                 tmpl src {source} dst {destination} proto esp reqid 1 mode {mode} {id}"
            ));
        }
    }
}
