//! `import --apply` while everybody goes on.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{io, thread};

use integration::counters::rule;
use integration::http::{Nginx, curl};
use integration::netns::Namespace;
use integration::redirector::Instance;
use integration::server::{Connection, Listener, connect};
use integration::topology::{LOOPBACK, Lan, SERVER};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;

use super::Tool;

/// Requests one after another, each by a connection of its own.
struct Load<'a> {
    from: &'a Namespace,
    to: SocketAddr,
    answered: AtomicU64,
}

impl<'a> Load<'a> {
    fn new(from: &'a Namespace, address: IpAddr, port: u16) -> Self {
        Self {
            from,
            to: SocketAddr::new(address, port),
            answered: AtomicU64::new(0),
        }
    }

    fn run(&self, over: &AtomicBool) -> io::Result<()> {
        self.from.enter(|| {
            while !over.load(Ordering::Relaxed) {
                self.request()?;
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn request(&self) -> io::Result<()> {
        let mut stream = connect(self.from, 0, self.to)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.starts_with("HTTP/1.1 200") {
            true => Ok(()),
            false => Err(io::Error::other(format!("an answer of {answer:?}"))),
        }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

#[test]
fn no_request_fails() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
        let instance = Instance::unloaded(&lan.server);
        let loads = [80, 443].map(|port| {
            [
                Load::new(&lan.client, SERVER.v4, port),
                Load::new(&lan.server, LOOPBACK.v4, port),
            ]
        });
        let loads = loads.as_flattened();
        let over = AtomicBool::new(false);
        let more = |count: u64| {
            let before: Vec<_> = loads.iter().map(Load::answered).collect();
            wait::until("requests are answered", || {
                let grown = |(load, before): (&Load<'_>, &u64)| load.answered() >= before + count;
                over.load(Ordering::Relaxed) || loads.iter().zip(&before).all(grown)
            });
        };
        thread::scope(|scope| {
            let threads = loads.iter().map(|load| {
                scope.spawn(|| {
                    let outcome = load.run(&over);
                    over.store(true, Ordering::Relaxed);
                    let answered = load.answered();
                    outcome.map_err(|error| {
                        format!("{tool:?}, {} after {answered} answers: {error}", load.to)
                    })
                })
            });
            let threads: Vec<_> = threads.collect();
            more(20);
            let output = instance.run("import", "--apply");
            let told = output.stderr.clone();
            output.success("import --apply");
            let before = connections(&instance);
            more(20);
            over.store(true, Ordering::Relaxed);
            for thread in threads {
                thread
                    .join()
                    .expect("no panic")
                    .expect("every request answered");
            }
            // All are ours now. Of each, one may have been under way and counted before.
            let after = connections(&instance);
            assert!(after >= before + 4 * 19, "{before}, then {after}: {told}");
        });
        let listing = tool.listing(&lan.server).join("\n");
        for port in ["8000\n", "4430\n"] {
            assert!(
                !listing.contains(&format!("REDIRECT --to-ports {port}")),
                "{listing}"
            );
            assert!(
                !listing.contains(&format!("redirect to :{port}")),
                "{listing}"
            );
        }
        assert_eq!(listing.matches("2222").count(), tool.others(), "{listing}");
    }
}

/// Those that netfilter began go on, and new ones are ours.
#[test]
fn live_connections_go_on() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        let listeners = [8000, 4430].map(|port| Listener::bind(&lan.server, port));
        let places = [(&lan.client, SERVER.v4), (&lan.server, LOOPBACK.v4)];
        let open =
            |(from, address)| Connection::open(from, SocketAddr::new(address, 80), &listeners[0]);
        let mut live = places.map(open);
        for connection in &mut live {
            connection.exchange("before");
        }
        let instance = Instance::unloaded(&lan.server);
        instance.run("import", "--apply").success("import --apply");
        for connection in &mut live {
            connection.exchange("after");
        }
        // The probes are in the queue as well.
        while !listeners[0].is_idle() {}
        let before = connections(&instance);
        for mut connection in places.map(open) {
            connection.exchange("new");
        }
        assert_eq!(connections(&instance), before + 2);
    }
}

/// Also where no other rule has connections tracked. What is left for them lets everything pass, and goes by the
/// command that is told.
#[test]
fn live_connections_go_on_where_nothing_else_is_tracked() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide_only(&lan.server);
        let listeners = [8000, 4430].map(|port| Listener::bind(&lan.server, port));
        let places = [(&lan.client, SERVER.v4), (&lan.server, LOOPBACK.v4)];
        let open =
            |(from, address)| Connection::open(from, SocketAddr::new(address, 80), &listeners[0]);
        let mut live = places.map(open);
        let instance = Instance::unloaded(&lan.server);
        let output = instance.run("import", "--apply");
        let told = output.stderr.clone();
        output.success("import --apply");
        for connection in &mut live {
            connection.exchange("after");
        }
        drop(live);
        while !listeners[0].is_idle() {}
        let mut new = places.map(open);
        let (_, command) = told.split_once("have ended: ").expect(&told);
        lan.server.run(command.lines().next().expect("a command"));
        for connection in &mut new {
            connection.exchange("without it");
        }
        let listing = tool.listing(&lan.server).join("\n");
        assert!(!listing.contains("redirector"), "{listing}");
    }
}

/// Nobody is connected, so nothing is left for anybody.
#[test]
fn nothing_is_left_for_nobody() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide_only(&lan.server);
        let _listeners = [8000, 4430].map(|port| Listener::bind(&lan.server, port));
        let instance = Instance::unloaded(&lan.server);
        instance.run("import", "--apply").success("import --apply");
        let listing = tool.listing(&lan.server).join("\n");
        assert!(!listing.contains("redirector"), "{listing}");
    }
}

/// Again there is nothing to do.
#[test]
fn twice_is_once() {
    let lan = Lan::new();
    Tool::IptablesNft.follow_guide(&lan.server);
    let _nginx = Nginx::start(&lan.server, &[8000, 4430]);
    let instance = Instance::unloaded(&lan.server);
    instance.run("import", "--apply").success("import --apply");
    let again = instance.run("import", "--apply");
    for words in ["nothing to move over", "stay with netfilter"] {
        assert!(again.stderr.contains(words), "{words}: {again:?}");
    }
    again.success("import --apply, again");
    assert_eq!(instance.status()["loaded"], true);
}

#[test]
fn both_families_and_datagrams() {
    for back_end in ["nft", "legacy"] {
        let lan = Lan::new();
        let rules = [
            (
                "ip",
                "127.0.0.1",
                "tcp --dport 80 -j REDIRECT --to-ports 8000",
            ),
            ("ip6", "::1", "tcp --dport 80 -j REDIRECT --to-ports 8000"),
            (
                "ip",
                "127.0.0.1",
                "udp --dport 53 -j REDIRECT --to-ports 5353",
            ),
            ("ip6", "::1", "udp --dport 53 -j REDIRECT --to-ports 5353"),
        ];
        for (family, loopback, rule) in rules {
            let tables = format!("{family}tables-{back_end} -t nat -A");
            lan.server
                .run(&format!("{tables} PREROUTING -i eth0 -p {rule}"));
            lan.server
                .run(&format!("{tables} OUTPUT -d {loopback} -p {rule}"));
        }
        let _nginx = Nginx::start(&lan.server, &[8000]);
        let dns = UdpServer::bind(&lan.server, 5353);
        let instance = Instance::unloaded(&lan.server);
        let output = instance.run("import", "--apply");
        assert!(output.stderr.contains("[::1]:80"), "{output:?}");
        assert!(!output.stderr.contains("as well"), "{output:?}");
        output.success("import --apply");
        for family in ["ip", "ip6"] {
            let saved = lan.server.run(&format!("{family}tables-{back_end}-save"));
            assert!(!saved.contains("REDIRECT"), "{saved}");
        }
        for (from, address) in lan.places() {
            curl(from, SocketAddr::new(address, 80)).expect("an answer");
            let to = SocketAddr::new(address, 53);
            dns.exchange(&UdpClient::connect(from, 0, to), &to.to_string());
        }
    }
}

fn connections(instance: &Instance) -> u64 {
    let stats = instance.stats();
    let of = |port| {
        rule(&stats, "tcp", port)["connections"]
            .as_u64()
            .expect("a number")
    };
    of(80) + of(443)
}
