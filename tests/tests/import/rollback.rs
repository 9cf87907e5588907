//! Where a step of `import --apply` fails, the host is as it was.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use integration::http::{Nginx, curl};
use integration::redirector::Instance;
use integration::topology::{LOOPBACK, Lan, SERVER};

use super::Tool;

#[track_caller]
fn fails(instance: &Instance, words: &[&str]) {
    let output = instance.run("import", "--apply");
    assert_eq!(output.code, Some(1), "{output:?}");
    let stderr = &output.stderr;
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    assert_eq!(output.stdout, "");
    assert!(!instance.pins().exists(), "{stderr}");
}

#[test]
fn nobody_listens() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        let before = tool.listing(&lan.server);
        let _nginx = Nginx::start(&lan.server, &[8000]);
        let instance = Instance::unloaded(&lan.server);
        fails(
            &instance,
            &["nobody answers", ":4430", "nothing was changed"],
        );
        assert_eq!(tool.listing(&lan.server), before);
    }
}

/// The firewall stops what is redirected on loopback, and let through what netfilter redirects before it.
/// That shows only when the old rules are gone.
#[test]
fn the_old_rules_come_back_in_their_places() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        integration::datapath::nft(
            &lan.server,
            "table inet strict {
                 chain output {
                     type filter hook output priority filter;
                     oifname lo tcp dport 443 reject with tcp reset
                 }
             }",
        );
        let before = tool.listing(&lan.server);
        let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
        let instance = Instance::unloaded(&lan.server);
        fails(
            &instance,
            &["127.0.0.1:443", "back in their places", "nothing is loaded"],
        );
        assert_eq!(tool.listing(&lan.server), before);
        for (from, address) in [(&lan.client, SERVER.v4), (&lan.server, LOOPBACK.v4)] {
            let answer = curl(from, SocketAddr::new(address, 443)).expect("an answer");
            assert_eq!(answer.server_port, 4430);
        }
    }
}

/// A rule for an address of another host cannot be moved over.
#[test]
fn another_hosts_address() {
    let lan = Lan::new();
    lan.server.run(
        "iptables-nft -t nat -A OUTPUT -d 192.0.2.9 -p tcp --dport 80 -j REDIRECT --to-ports 8000",
    );
    let before = Tool::IptablesNft.listing(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000]);
    let instance = Instance::unloaded(&lan.server);
    fails(&instance, &["192.0.2.9 is no address of this host"]);
    assert_eq!(Tool::IptablesNft.listing(&lan.server), before);
}

#[test]
fn the_file_goes_with_the_rest() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let directory = integration::process::Background::directory();
    let file = directory.path().join("config.toml");
    let instance = Instance::unloaded(&lan.server);
    let output = instance.run("import", &format!("--apply -o {}", file.display()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(!file.exists());
    fs::write(&file, "of the package").expect("a file");
    let output = instance.run("import", &format!("--apply --force -o {}", file.display()));
    assert_eq!(output.code, Some(1), "{output:?}");
    let text = fs::read_to_string(&file).expect("the file");
    assert_eq!(text, "of the package");
}

/// It lets in what netfilter has redirected, and nothing else.
#[test]
fn a_firewall_that_would_stop_everything() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        integration::datapath::nft(
            &lan.server,
            "table inet strict {
                 chain input {
                     type filter hook input priority filter; policy drop;
                     iifname lo accept
                     ct state established,related accept
                     ct status dnat accept
                 }
             }",
        );
        let before = tool.listing(&lan.server);
        let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
        let instance = Instance::unloaded(&lan.server);
        let words = [
            "nothing would arrive",
            "8000/tcp is stopped",
            "nothing was changed",
        ];
        fails(&instance, &words);
        assert_eq!(tool.listing(&lan.server), before);
        let answer = curl(&lan.client, SocketAddr::new(SERVER.v4, 80)).expect("an answer");
        assert_eq!(answer.server_port, 8000);
    }
}

/// The handshake passes, and nothing after it.
#[test]
fn a_firewall_that_stops_the_rest() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    integration::datapath::nft(
        &lan.server,
        "table inet strict {
             chain input {
                 type filter hook input priority filter;
                 iifname lo tcp sport { 80, 443 } tcp flags & (syn | rst) == 0 drop
             }
         }",
    );
    let before = Tool::Nft.listing(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let instance = Instance::unloaded(&lan.server);
    fails(&instance, &["what is sent is lost", "nothing is loaded"]);
    assert_eq!(Tool::Nft.listing(&lan.server), before);
}

/// Rules of two tools, of which the second refuses.
#[test]
fn what_one_tool_has_removed_comes_back() {
    const REFUSES: &str = "#!/bin/sh\n[ \"$1\" = -f ] && exit 1\nexec /usr/sbin/nft \"$@\"\n";
    let lan = Lan::new();
    let tools = [Tool::IptablesLegacy, Tool::Nft];
    for tool in tools {
        tool.follow_guide(&lan.server);
    }
    let listings = || tools.map(|tool| tool.listing(&lan.server));
    let before = listings();
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let directory = integration::process::Background::directory();
    let nft = directory.path().join("nft");
    fs::write(&nft, REFUSES).expect("a script");
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut instance = Instance::unloaded(&lan.server);
    let path = std::env::var("PATH").unwrap_or_default();
    instance.set("PATH", format!("{}:{path}", directory.path().display()));
    let words = [
        "removed 4 rules by iptables-legacy-restore",
        "cannot remove the old rules: nft",
        "back in their places",
    ];
    fails(&instance, &words);
    assert_eq!(listings(), before);
}

/// What else has the name stays as it is.
#[test]
fn other_rules_are_loaded_already() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let before = Tool::Nft.listing(&lan.server);
    let instance = Instance::load(&lan.server, "81:8100 -i lo");
    let output = instance.run("import", "--apply");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("nothing was changed"), "{output:?}");
    assert_eq!(Tool::Nft.listing(&lan.server), before);
    assert_eq!(instance.status()["rules"][0]["from"], 81);
}
