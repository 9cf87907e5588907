//! What the reading verbs print, for people and for programs.

use std::fs;
use std::io::{self, PipeWriter, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use integration::netns::Namespace;
use integration::process::{Background, run};
use integration::redirector::{Instance, binary, json};
use integration::server::{Connection, Listener, connect, is_refused};
use integration::topology::{CLIENT, LOOPBACK, Lan, SERVER};
use integration::wait;
use serde_json::{Value, json};

const RULES: &str = "-i eth0 -i lo 80:8000";

const VERBS: [&str; 15] = [
    "load",
    "unload",
    "reload",
    "run",
    "status",
    "stats",
    "flows",
    "trace",
    "top",
    "dashboard",
    "check",
    "import",
    "log",
    "tune",
    "completions",
];

/// One client port for the wire port and its target would be one connection twice, so the second one
/// is moved.
#[test]
fn a_client_port_used_twice_is_logged() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut log = background(&mut instance.command("log", ""));
    for (client_port, client, [to_wire, to_target]) in [
        (
            20_004,
            CLIENT.v4,
            [80, 8000].map(|p| SocketAddr::new(SERVER.v4, p)),
        ),
        (
            20_006,
            CLIENT.v6,
            [80, 8000].map(|p| SocketAddr::new(SERVER.v6, p)),
        ),
    ] {
        let mut first = Connection::open_from(&lan.client, client_port, to_target, &listener);
        first.exchange("the first");
        // The application sees it from another port.
        let mut second = connect(&lan.client, client_port, to_wire).expect("the second is served");
        let mut server = listener.accept();
        let moved = server.peer_addr().expect("the second's peer").port();
        assert_ne!(moved, client_port);
        second.write_all(b"second").expect("a request");
        let mut request = [0; 6];
        server.read_exact(&mut request).expect("the request");
        first.exchange("the first goes on");
        wait::until("a line about the client", || {
            log.assert_running();
            log.stdout().lines().any(|line| {
                line.contains(&client.to_string())
                    && line.contains(&format!(":{client_port} "))
                    && line.contains("8000")
                    && line.ends_with(&format!("from port {moved}"))
            })
        });
    }
    assert_eq!(log.stderr(), "");
}

/// Its client has all the ports that one without privileges would not have, and is refused on another.
/// However often it tries, a second has 16 lines.
#[test]
fn a_client_port_that_cannot_be_moved_is_logged() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let log = background(&mut instance.command("log", ""));
    let [wire, target] = [80, 8000].map(|port| SocketAddr::new(SERVER.v4, port));
    let taken: Vec<_> = (600..1024)
        .map(|port| Connection::open_from(&lan.client, port, target, &listener))
        .collect();
    let refused = |port| {
        let second = connect(&lan.client, port, wire).expect_err("nobody listens on the wire port");
        assert_eq!(second.kind(), io::ErrorKind::ConnectionRefused);
    };
    let lines = |port| {
        let is_about = |line: &&str| {
            line.contains(&format!("{}]:{port} ", CLIENT.v4))
                && line.ends_with("has no other port free")
        };
        log.stdout().lines().filter(is_about).count()
    };
    let start = Instant::now();
    for _ in 0..200 {
        refused(700);
    }
    let seconds = start.elapsed().as_secs() as usize + 2;
    thread::sleep(Duration::from_millis(1100));
    refused(701);
    wait::until("a line about the last one", || lines(701) > 0);
    assert!((1..=16 * seconds).contains(&lines(700)), "{}", lines(700));
    drop(taken);
}

#[test]
fn completions_name_the_verbs() {
    let host = Namespace::new("lone");
    let directory = Background::directory();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(redirector(&host, "completions").arg(shell)).success(shell);
        for verb in VERBS {
            assert!(script.contains(verb), "{verb} for {shell}");
        }
        if shell == "bash" {
            let file = directory.path().join("completions.bash");
            fs::write(&file, script).expect("a script");
            run(Command::new("bash").arg("-n").arg(file)).success("bash -n");
        }
    }
    let output = run(redirector(&host, "completions").arg("csh"));
    assert_eq!(output.code, Some(2), "{output:#?}");
}

#[test]
fn a_check_tells_what_does_not_listen() {
    let lan = Lan::new();
    let _listener = Listener::bind(&lan.server, 4430);
    let check = || {
        let arguments = "-i eth0 -i lo 80:8000 443:4430 --json".split(' ');
        json(&run(redirector(&lan.server, "check").args(arguments)).success("check"))
    };
    let level = |document: &Value, subject: &str| {
        let findings = document["findings"].as_array().expect("findings").iter();
        let mut levels = findings
            .filter(|finding| finding["id"] == "listener")
            .filter(|finding| {
                finding["subject"]
                    .as_str()
                    .is_some_and(|s| s.contains(subject))
            })
            .map(|finding| finding["level"].clone());
        let level = levels
            .next()
            .unwrap_or_else(|| panic!("{subject}: {document}"));
        assert_eq!(levels.next(), None, "{subject}: {document}");
        level
    };
    let document = check();
    assert_eq!(document["schema"], 1, "{document}");
    assert_eq!(document["level"], "warning", "{document}");
    assert_eq!(level(&document, "80:8000"), "warning");
    assert_eq!(level(&document, "443:4430"), "ok");

    let _listener = Listener::bind(&lan.server, 8000);
    let document = check();
    assert_eq!(level(&document, "80:8000"), "ok", "{document}");
}

#[test]
fn two_instances_of_a_host_are_unloaded_by_name() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let first = Instance::load(&lan.server, RULES);
    let second = Instance::load(&lan.server, "-i eth0 -i lo 81:8000");
    let answered = |expected: [bool; 2]| {
        for (host, from) in [(SERVER, &lan.client), (LOOPBACK, &lan.server)] {
            for (port, expected) in [80, 81].into_iter().zip(expected) {
                for to in host.both(port) {
                    if expected {
                        Connection::open(from, to, &listener).exchange(&to.to_string());
                    } else {
                        assert!(is_refused(from, to), "{to}");
                    }
                }
            }
        }
    };
    answered([true, true]);
    let text = first.run("unload", "").success("unload");
    assert!(text.contains(first.name()), "{text}");
    assert!(!text.contains(second.name()), "{text}");
    answered([false, true]);
    assert_eq!(first.run("status", "").code, Some(3));
    assert_eq!(second.run("status", "").code, Some(0));
    second.run("unload", "").success("unload");
    answered([false, false]);
    assert_eq!(second.run("status", "").code, Some(3));
}

#[test]
fn flows_name_the_client() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    for to in SERVER.both(80) {
        let mut connection = Connection::open(&lan.client, to, &listener);
        connection.exchange(&to.to_string());
        let client = connection.client.local_addr().expect("the client");
        let text = instance.run("flows", "").success("flows");
        for address in [client, to] {
            assert!(text.contains(&address.to_string()), "{address} in {text}");
        }
        let document = json(&instance.run("flows", "--json").success("flows --json"));
        assert_eq!(document["schema"], 1, "{document}");
        assert_eq!(document["name"], instance.name(), "{document}");
        let flow = flow_of(&document, client);
        let address: IpAddr = to.ip();
        for (field, expected) in [
            ("protocol", json!("tcp")),
            ("address", json!(address)),
            ("from", json!(80)),
            ("to", json!(8000)),
            ("state", json!("answered")),
        ] {
            assert_eq!(flow[field], expected, "{field} of {flow}");
        }
        assert!(flow["age_seconds"].is_f64(), "{flow}");
    }
}

/// As with `redirector stats --watch | head -1`.
#[test]
fn a_reader_that_has_enough_is_no_error() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    for (verb, arguments) in [
        ("status", ""),
        ("status", "--json"),
        ("stats", ""),
        ("stats", "--json"),
        ("stats", "--watch=0.1"),
        ("stats", "--watch=0.1 --json"),
        ("flows", ""),
        ("flows", "--json"),
        ("reload", "-i eth0 -i lo 80:8000"),
        ("reload", "-i eth0 -i lo 80:9000"),
        ("load", "--help"),
    ] {
        let case = format!("{verb} {arguments}");
        assert_quiet(instance.command(verb, arguments), &case);
    }
    for arguments in [
        "check 80:8000",
        "check 80:8000 --json",
        "completions bash",
        "--version",
    ] {
        let mut command = lan.server.command(&binary().display().to_string());
        command.args(arguments.split(' '));
        assert_quiet(command, arguments);
    }
}

#[track_caller]
fn assert_quiet(mut command: Command, case: &str) {
    let output = command
        .stdin(Stdio::null())
        .stdout(closed_pipe())
        .output()
        .expect("the binary");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{case}");
}

fn closed_pipe() -> PipeWriter {
    let (_reader, writer) = io::pipe().expect("a pipe");
    writer
}

fn redirector(host: &Namespace, verb: &str) -> Command {
    let mut command = host.command(&binary().display().to_string());
    command.arg(verb);
    command
}

fn background(command: &mut Command) -> Background {
    Background::start(command, Background::directory())
}

fn flow_of(document: &Value, client: SocketAddr) -> &Value {
    let expected = json!({ "address": client.ip(), "port": client.port() });
    document["flows"]
        .as_array()
        .and_then(|flows| flows.iter().find(|flow| flow["client"] == expected))
        .unwrap_or_else(|| panic!("a flow of {client} in {document}"))
}
