//! A device without a link layer, with a real tunnel below it.

use std::fs;

use integration::netns::Namespace;
use integration::process::{Background, run};
use integration::topology::{Lan, number};
use tempfile::TempDir;

use crate::traffic::{INSIDE, OUTSIDE, Traffic};

const PORT: u16 = 51820;

#[test]
fn on_a_tunnel() {
    answered(&["wg0"]);
}

/// The tunnel's own packets pass eth0.
#[test]
fn on_a_tunnel_and_on_what_carries_it() {
    answered(&["eth0", "wg0", "lo"]);
}

#[track_caller]
fn answered(interfaces: &[&str]) {
    let traffic = tunnel();
    let _redirected = traffic.redirect_on(interfaces);
    traffic.tcp("through the tunnel");
    traffic.udp("through the tunnel");
    traffic.assert_no_bad_checksum();
}

fn tunnel() -> Traffic {
    let Lan { client, server } = Lan::new();
    let hosts = [client, server];
    let keys = [Key::new(&hosts[0]), Key::new(&hosts[1])];
    for (this, peer) in [(0, 1), (1, 0)] {
        let host = &hosts[this];
        host.ip("link add wg0 type wireguard");
        host.run(&format!(
            "wg set wg0 listen-port {PORT} private-key {} \
             peer {} endpoint {}:{PORT} allowed-ips {},{}",
            keys[this].file(),
            keys[peer].public,
            OUTSIDE[peer].v4,
            INSIDE[peer].v4,
            INSIDE[peer].v6,
        ));
        host.ip("link set wg0 up");
        number(host, "wg0", INSIDE[this]);
    }
    let [client, server] = hosts;
    Traffic::new(client, server, INSIDE[1])
}

struct Key {
    directory: TempDir,
    public: String,
}

impl Key {
    fn new(host: &Namespace) -> Self {
        let directory = Background::directory();
        let mut key = Self {
            directory,
            public: String::new(),
        };
        fs::write(key.file(), host.run("wg genkey")).expect("a private key");
        let pubkey = format!("wg pubkey <{}", key.file());
        let output = run(host.command("sh").args(["-c", &pubkey]));
        key.public = output.success(&pubkey).trim().to_owned();
        key
    }

    fn file(&self) -> String {
        self.directory.path().join("key").display().to_string()
    }
}
