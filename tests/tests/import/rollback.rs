//! Where a step of `import --apply` fails, the host is as it was.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use integration::datapath::nft;
use integration::http::{Nginx, curl};
use integration::netns::Namespace;
use integration::process::Background;
use integration::redirector::Instance;
use integration::topology::{CLIENT, LOOPBACK, Lan, SERVER};
use tempfile::TempDir;

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
        nft(
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
    let directory = Background::directory();
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
    let output = instance.run("import", "--apply --force -o /dev/full");
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("/dev/full is not a file"),
        "{output:?}"
    );
}

/// A ruleset of nft or commands of iptables, and what is said of it.
const FIREWALLS: &[(&str, &[&str])] = &[
    (
        "table inet strict {
             chain input {
                 type filter hook input priority filter; policy drop;
                 iifname lo accept
                 ct state established,related accept
                 ct status dnat accept
             }
         }",
        &["8000/tcp is stopped"],
    ),
    (
        "table inet strict {
             chain input {
                 type filter hook input priority filter; policy drop;
                 iifname lo accept
                 ct state established,related accept
                 meta l4proto tcp ct original proto-dst { 80, 443 } accept
             }
         }",
        &["8000/tcp is stopped"],
    ),
    (
        "iptables -A INPUT -i lo -j ACCEPT
         iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
         iptables -A INPUT -p tcp -m conntrack --ctorigdstport 80 -j ACCEPT
         iptables -P INPUT DROP",
        &["8000/tcp is stopped"],
    ),
    (
        "iptables -t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 0x50
         iptables -A INPUT -i lo -j ACCEPT
         iptables -A INPUT -m mark --mark 0x50 -j ACCEPT
         iptables -P INPUT DROP",
        &["--set-xmark", "is about 80/tcp", "sees 8000/tcp"],
    ),
    (
        "iptables -A OUTPUT -m conntrack --ctstate INVALID -j DROP",
        &["own connections to 80/tcp", "-I OUTPUT -o lo"],
    ),
    (
        "iptables -t raw -A PREROUTING -s 192.0.2.66 -p tcp --dport 80 -j DROP",
        &["192.0.2.66", "is about 80/tcp", "for 8000/tcp"],
    ),
    (
        "table inet blocks {
             set bad { type ipv4_addr; elements = { 192.0.2.66 }; }
             chain early {
                 type filter hook prerouting priority -300;
                 iifname vmap { \"eth0\": jump web }
             }
             chain web { ip saddr @bad tcp dport { 80, 443 } drop; }
         }",
        &["inet blocks web", "is about 80/tcp"],
    ),
    (
        "table netdev blocks {
             chain early {
                 type filter hook ingress device eth0 priority 0;
                 ip saddr 192.0.2.66 tcp dport 443 drop
             }
         }",
        &["netdev blocks early", "is about 443/tcp"],
    ),
];

fn set_up(host: &Namespace, firewall: &str) {
    if firewall.starts_with("table") {
        return nft(host, firewall);
    }
    for command in firewall.lines() {
        host.run(command.trim());
    }
}

/// By what it knows of a connection before netfilter's redirect, it lets in or keeps out somebody.
#[test]
fn a_firewall_that_would_no_longer_do_what_it_does() {
    let all = Tool::ALL.into_iter().cycle();
    for (&(firewall, words), tool) in FIREWALLS.iter().zip(all) {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        set_up(&lan.server, firewall);
        let before = tool.listing(&lan.server);
        let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
        let instance = Instance::unloaded(&lan.server);
        let words = [words, &["it would not be as it is", "nothing was changed"]].concat();
        fails(&instance, &words);
        assert_eq!(tool.listing(&lan.server), before);
        for (port, target) in [(80, 8000), (443, 4430)] {
            // Two of them let in port 80 alone.
            if let Ok(answer) = curl(&lan.client, SocketAddr::new(SERVER.v4, port)) {
                assert_eq!(answer.server_port, target);
            } else {
                assert_eq!(port, 443, "{firewall}");
            }
        }
    }
}

/// As other software has them: nothing of it is about what we redirect.
#[test]
fn firewalls_that_are_no_hindrance() {
    const FIREWALLS: [&str; 4] = [
        // Docker's, for a container that listens on port 80.
        "iptables -t raw -A PREROUTING -d 172.17.0.2/32 ! -i docker0 -p tcp --dport 80 -j DROP",
        "ip6tables -P INPUT DROP
         ip6tables -P OUTPUT DROP",
        "table inet zones {
             chain early {
                 type filter hook prerouting priority -300;
                 iifname vmap { wan9: jump web }
                 meta l4proto udp jump quic
             }
             chain web { tcp dport 80 drop; }
             chain quic { th dport 80 drop; }
         }",
        "table inet outgoing {
             chain output {
                 type filter hook output priority 0;
                 tcp flags & (fin | syn | rst | ack) == syn oifname eth0 drop
                 ct state established,related accept
                 oifname lo accept
             }
         }",
    ];
    for firewall in FIREWALLS {
        let lan = Lan::new();
        Tool::IptablesNft.follow_guide(&lan.server);
        set_up(&lan.server, firewall);
        let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
        let instance = Instance::unloaded(&lan.server);
        instance.run("import", "--apply").success(firewall);
    }
}

/// The way out that is told for the others.
#[test]
fn a_firewall_that_was_made_ready() {
    let lan = Lan::new();
    Tool::IptablesNft.follow_guide(&lan.server);
    for port in [80, 8000] {
        lan.server.run(&format!(
            "iptables -t raw -A PREROUTING -s {} -p tcp --dport {port} -j DROP",
            CLIENT.v4
        ));
    }
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let instance = Instance::unloaded(&lan.server);
    instance.run("import", "--apply").success("import --apply");
    let to = SocketAddr::new(SERVER.v4, 80);
    let outcome = lan
        .client
        .enter(|| TcpStream::connect_timeout(&to, Duration::from_millis(500)).map(drop));
    assert!(outcome.is_err(), "kept out before and after");
}

/// The handshake passes, and nothing after it.
#[test]
fn a_firewall_that_stops_the_rest() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    nft(
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

/// Has the script run for `nft -f`, before the tool itself if it goes on.
fn with_nft(instance: &mut Instance, script: &str) -> TempDir {
    let directory = Background::directory();
    let nft = directory.path().join("nft");
    let script =
        format!("#!/bin/sh\nif [ \"$1\" = -f ]; then {script}; fi\nexec /usr/sbin/nft \"$@\"\n");
    fs::write(&nft, script).expect("a script");
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = std::env::var("PATH").unwrap_or_default();
    instance.set("PATH", format!("{}:{path}", directory.path().display()));
    directory
}

/// It waits until all is done. The file has its name then, its permissions, and the link to it.
#[test]
fn an_interrupt_leaves_nothing_half_done() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let mut instance = Instance::unloaded(&lan.server);
    let _script = with_nft(&mut instance, "kill -INT $PPID");
    let directory = Background::directory();
    let [file, link] = ["config.toml", "link.toml"].map(|name| directory.path().join(name));
    fs::write(&file, "of the package").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("its mode");
    symlink(&file, &link).expect("a link");
    let output = instance.run("import", &format!("--apply --force -o {}", link.display()));
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(instance.status()["loaded"], true);
    let listing = Tool::Nft.listing(&lan.server).join("\n");
    assert!(!listing.contains("redirect to :8000"), "{listing}");
    let text = fs::read_to_string(&file).expect("the file");
    assert!(text.contains("to = 8000"), "{text}");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(fs::read_link(&link).expect("the link"), file);
}

/// It is undone, and said.
#[test]
fn an_interrupted_failure_is_told_and_leaves_no_file() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let before = Tool::Nft.listing(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let mut instance = Instance::unloaded(&lan.server);
    let _script = with_nft(&mut instance, "kill -INT $PPID; exit 1");
    let directory = Background::directory();
    let made = directory.path().join("made");
    let output = instance.run("import", &format!("--apply -o {}/c.toml", made.display()));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("nothing is loaded"), "{output:?}");
    assert!(!made.exists() && !instance.pins().exists());
    assert_eq!(Tool::Nft.listing(&lan.server), before);
}

/// `2>&1 | head` and a terminal that is gone: nobody reads, and it is done all the same.
#[test]
fn what_nobody_reads_stops_nothing() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let instance = Instance::unloaded(&lan.server);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = instance.command("import", "--apply");
    let status = command.stdout(Stdio::null()).stderr(writer).status();
    assert_eq!(status.expect("a status").code(), Some(0));
    assert_eq!(instance.status()["loaded"], true);
    let listing = Tool::Nft.listing(&lan.server).join("\n");
    assert!(!listing.contains("redirect to :8000"), "{listing}");
}

/// Rules of two tools, of which the second refuses.
#[test]
fn what_one_tool_has_removed_comes_back() {
    let lan = Lan::new();
    let tools = [Tool::IptablesLegacy, Tool::Nft];
    for tool in tools {
        tool.follow_guide(&lan.server);
    }
    let listings = || tools.map(|tool| tool.listing(&lan.server));
    let before = listings();
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let mut instance = Instance::unloaded(&lan.server);
    let _script = with_nft(&mut instance, "exit 1");
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
