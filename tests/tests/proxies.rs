//! What the page about proxies promises, with the real HAProxy and nginx and the configurations in it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use integration::docs::page;
use integration::netns::Namespace;
use integration::process::run;
use integration::scene::{CLIENT, Machine, SERVER, Scene};
use integration::server::connect;
use integration::wait;
use tungstenite::{Message, WebSocket};

const PAGE: &str = "proxies.md";

#[derive(Clone, Copy)]
enum Proxy {
    HaProxy,
    Nginx,
}

impl Proxy {
    const fn name(self) -> &'static str {
        match self {
            Self::HaProxy => "HAProxy",
            Self::Nginx => "nginx",
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::HaProxy => "/etc/haproxy/haproxy.cfg",
            Self::Nginx => "/etc/nginx/conf.d/application.conf",
        }
    }

    /// A change of the configuration that a client can see.
    fn changed(self, configuration: &str) -> String {
        let (place, change) = match self {
            Self::HaProxy => (
                "    default_backend",
                "http-response set-header X-New yes\n",
            ),
            Self::Nginx => ("    location / {", "add_header X-New yes;\n"),
        };
        assert!(configuration.contains(place));
        configuration.replace(place, &format!("    {change}{place}"))
    }

    fn reload(self, machine: &Machine) {
        let configuration = machine.read(Path::new(self.file()));
        machine.write(Path::new(self.file()), &self.changed(&configuration));
        let unit = self.name().to_lowercase();
        machine
            .sh(&format!("systemctl reload {unit}"))
            .success("reload");
    }
}

/// Where the proxy is asked, from where, and what it tells the application of the client.
struct Way<'a> {
    from: &'a Namespace,
    url: String,
    client: &'static str,
}

impl Way<'_> {
    /// The head and body of an answer.
    fn ask(&self, path: &str) -> String {
        let url = format!("{}{path}", self.url);
        let mut curl = self.from.command("curl");
        run(curl.args(["-sS", "--insecure", "--include", "--noproxy", "*", &url])).success(&url)
    }

    fn chunked(&self, version: &str) {
        let answer = self.ask("/chunked");
        for line in ["version HTTP/1.1", "request "] {
            assert!(answer.contains(line), "{answer}");
        }
        let forwarded = format!("forwarded {}", self.client);
        assert!(answer.contains(&forwarded), "{answer}");
        if version == "HTTP/1.1" {
            let head = answer.to_lowercase();
            assert!(head.contains("transfer-encoding: chunked"), "{answer}");
        }
    }

    /// A second request needs no connection to the proxy, nor one to the application.
    fn keep_alive(&self) {
        // A process that a reload has told to end closes after each request.
        wait::until("the client's connection is used again", || {
            let mut curl = self.from.command("curl");
            let output = run(curl.args(["-sS", "--insecure", "--noproxy", "*"]).args([
                "-w",
                "connects %{num_connects}\n",
                &self.url,
                &self.url,
            ]));
            let output = output.success("curl");
            let connects = output.lines().filter(|line| line.starts_with("connects"));
            connects.eq(["connects 1", "connects 0"])
        });
        wait::until("the application's connection is used again", || {
            !self.ask("/").contains("request 1\n")
        });
    }

    fn is_new(&self) -> bool {
        self.ask("/").to_lowercase().contains("x-new: yes")
    }
}

fn socket(from: &Namespace, to: SocketAddr) -> WebSocket<TcpStream> {
    let stream = connect(from, 0, to).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let url = format!("ws://{to}/socket");
    let (socket, _) = tungstenite::client(&url, stream).expect("a WebSocket");
    socket
}

#[track_caller]
fn echo(socket: &mut WebSocket<TcpStream>, words: &str) {
    socket.send(Message::text(words)).expect("to send");
    let answer = socket.read().expect("an answer");
    assert_eq!(answer.to_text().expect("text"), words);
}

/// The first part of a response arrives before there is a second one.
#[track_caller]
fn stream(from: &Namespace, to: SocketAddr) {
    let [mut stream, mut release] = [(); 2].map(|()| connect(from, 0, to).expect("a connection"));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    stream
        .write_all(get("/stream").as_bytes())
        .expect("a request");
    let mut answer = Vec::new();
    while !answer.ends_with(b"first\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("the first part");
        answer.extend(byte);
    }
    release
        .write_all(get("/release").as_bytes())
        .expect("a request");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("second"), "{rest}");
}

fn in_front(proxy: Proxy) {
    let page = page(PAGE);
    let section = page.section(&format!("{} in front", proxy.name()));
    let scene = Scene::play(PAGE, section);
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 80);
    whole(proxy, &scene.lan.client, &scene.client, to, "127.0.0.1");
}

fn behind(proxy: Proxy) {
    let page = page(PAGE);
    let section = page.section(&format!("{} behind", proxy.name()));
    let scene = Scene::play(PAGE, section);
    let to = SocketAddr::new(SERVER.parse().expect("an address"), 80);
    whole(proxy, &scene.lan.client, &scene.server, to, CLIENT);
}

/// Everything, with a WebSocket from before a reload to after it.
fn whole(proxy: Proxy, from: &Namespace, machine: &Machine, to: SocketAddr, client: &'static str) {
    let way = Way {
        from,
        url: format!("http://{to}"),
        client,
    };
    way.chunked("HTTP/1.1");
    way.keep_alive();
    stream(from, to);
    let mut old = socket(from, to);
    echo(&mut old, "before the reload");
    proxy.reload(machine);
    wait::until("the new configuration answers", || way.is_new());
    echo(&mut old, "after the reload");
    let mut new = socket(from, to);
    echo(&mut new, "from after the reload");
    way.chunked("HTTP/1.1");
    // Until now it was nobody's wish to end it.
    old.close(None).expect("a farewell");
    let end = loop {
        match old.read() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    match end {
        tungstenite::Error::ConnectionClosed => {}
        tungstenite::Error::Io(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "{error}"),
        other => panic!("{other}"),
    }
}

fn beside(proxy: Proxy) {
    let page = page(PAGE);
    let section = page.section(&format!("{} beside", proxy.name()));
    let scene = Scene::play(PAGE, section);
    let way = Way {
        from: &scene.lan.client,
        url: format!("https://{SERVER}"),
        client: CLIENT,
    };
    // To the client it is HTTP/2, which has frames instead.
    way.chunked("HTTP/2");
    way.keep_alive();
    proxy.reload(&scene.server);
    wait::until("the new configuration answers", || way.is_new());
}

#[test]
fn haproxy_in_front() {
    in_front(Proxy::HaProxy);
}

#[test]
fn nginx_in_front() {
    in_front(Proxy::Nginx);
}

#[test]
fn haproxy_behind() {
    behind(Proxy::HaProxy);
}

#[test]
fn nginx_behind() {
    behind(Proxy::Nginx);
}

#[test]
fn haproxy_beside() {
    beside(Proxy::HaProxy);
}

#[test]
fn nginx_beside() {
    beside(Proxy::Nginx);
}

/// What guides say of keep-alive takes the upgrade away.
#[test]
fn an_empty_connection_header_is_no_upgrade() {
    let page = page(PAGE);
    let scene = Scene::play(PAGE, page.section("nginx behind"));
    let to = SocketAddr::new(SERVER.parse().expect("an address"), 80);
    drop(socket(&scene.lan.client, to));
    let file = Path::new(Proxy::Nginx.file());
    let configuration = scene.server.read(file);
    let old = configuration.replace("Connection $connection_upgrade", "Connection \"\"");
    assert_ne!(old, configuration);
    scene.server.write(file, &old);
    scene.server.sh("systemctl reload nginx").success("reload");
    wait::until("no WebSocket is opened", || {
        let stream = connect(&scene.lan.client, 0, to).expect("a connection");
        tungstenite::client(format!("ws://{to}/"), stream).is_err()
    });
}
