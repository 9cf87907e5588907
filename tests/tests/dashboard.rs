//! `redirector dashboard`, as programs use it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use std::{fs, thread};

use integration::counters::rule;
use integration::dashboard::{Dashboard, event};
use integration::process::{Background, run};
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::{ordinary_or_long, wait};
use serde_json::Value;

const RULES: &str = "-i eth0 -i lo 80:8000 443:4430 53:5353/udp";

#[test]
fn documents_are_those_of_the_command_line() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("something to count");
    for verb in ["status", "stats", "flows"] {
        wait::until_equal(verb, || {
            let answer = dashboard.get(&format!("/api/v1/{verb}"), &[]);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(
                answer.headers.contains("content-type: application/json"),
                "{answer:?}"
            );
            let printed = instance.run(verb, "--json").success(verb);
            (without_times(&answer.body), without_times(&printed))
        });
    }
    assert_eq!(dashboard.get("/api/v1/other", &[]).status, 404);
}

/// Not those of the moment, which two readings cannot share.
fn without_times(document: &str) -> String {
    let is_time = |line: &&str| line.contains("\"age_seconds\"") || line.contains("\"time\"");
    document
        .lines()
        .filter(|line| !is_time(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn events_tell_of_traffic_of_an_unload_and_of_another_load() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let mut events = dashboard.events();
    assert_eq!(event(&mut events, "status")["loaded"], true);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let start = Instant::now();
    let moving = loop {
        connection.exchange("while it is watched");
        let sample = event(&mut events, "sample");
        let rule = rule(&sample["stats"], "tcp", 80);
        if rule["rate"]["in"]["packets"].as_f64() > Some(0.0) {
            break sample;
        }
        assert!(start.elapsed() < wait::DEADLINE, "no rate: {sample}");
    };
    assert_eq!(moving["schema"], 1);
    assert_eq!(moving["rules_total"], 3);
    assert_eq!(moving["total"]["live"], 1, "{moving}");
    drop(connection);

    instance.run("unload", "").success("unload");
    let gone = until_sample(&mut events, |sample| sample["loaded"] == false);
    assert!(
        gone["reason"]
            .as_str()
            .expect("a reason")
            .contains("not loaded"),
        "{gone}"
    );
    assert_eq!(dashboard.get("/api/v1/stats", &[]).status, 503);
    let status = dashboard.json("/api/v1/status");
    assert_eq!(status["loaded"], false);
    assert_eq!(dashboard.json("/healthz")["loaded"], false);

    instance
        .run("load", "-i eth0 -i lo 80:8000")
        .success("load");
    let back = until_sample(&mut events, |sample| sample["loaded"] == true);
    assert_eq!(back["rules_total"], 1, "{back}");
    let history = dashboard.json("/api/v1/history");
    let points = history["total"]["in_packets"].as_array().expect("points");
    assert!(points.iter().any(Value::is_null), "the gap: {history}");
    assert!(
        points.iter().any(|point| point.as_f64() > Some(0.0)),
        "{history}"
    );
    assert_eq!(
        dashboard.process.interrupt(),
        Some(0),
        "{}",
        dashboard.process.stderr()
    );
    assert_eq!(dashboard.process.stderr(), "");
}

fn until_sample(events: &mut impl std::io::BufRead, is_it: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let sample = event(events, "sample");
        if is_it(&sample) {
            return sample;
        }
        assert!(start.elapsed() < wait::DEADLINE, "{sample}");
    }
}

#[test]
fn metrics_satisfy_promtool_and_prometheus() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("something to count");

    let text = dashboard.get("/metrics", &[]);
    assert!(
        text.headers
            .contains("content-type: text/plain; version=0.0.4"),
        "{text:?}"
    );
    check_metrics(&text.body);
    let open = dashboard.get(
        "/metrics",
        &["accept: application/openmetrics-text;version=1.0.0"],
    );
    assert!(
        open.headers
            .contains("content-type: application/openmetrics-text"),
        "{open:?}"
    );
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
    let client = connection
        .client
        .local_addr()
        .expect("the client")
        .ip()
        .to_string();
    assert!(!open.body.contains(&client), "{}", open.body);

    // Prometheus itself parses OpenMetrics strictly, and says what it has read.
    let prometheus = Prometheus::start(&lan, &dashboard);
    let packets = prometheus.value("redirector_packets_total{from=\"80\",direction=\"in\"}");
    let stats = instance.stats();
    assert_eq!(
        Some(packets),
        rule(&stats, "tcp", 80)["in"]["packets"].as_f64()
    );
    assert_eq!(prometheus.value("redirector_loaded"), 1.0);
    assert!(prometheus.value("redirector_syn_ack_delay_seconds_count") >= 1.0);

    instance.run("unload", "").success("unload");
    wait::until("the metrics say so", || {
        let text = dashboard.get("/metrics", &[]).body;
        let line = format!("redirector_loaded{{name=\"{}\"}} 0.0", instance.name());
        text.lines().any(|found| found == line)
    });
}

fn check_metrics(text: &str) {
    let directory = Background::directory();
    let file = directory.path().join("metrics");
    fs::write(&file, text).expect("a file");
    let mut promtool = std::process::Command::new("sh");
    promtool
        .args(["-c", "exec promtool check metrics <\"$0\""])
        .arg(&file);
    let output = run(&mut promtool);
    assert_eq!(
        (output.code, &*output.stdout, &*output.stderr),
        (Some(0), "", ""),
        "{text}"
    );
}

/// Scrapes a dashboard every 200 ms.
struct Prometheus {
    lan_server: integration::netns::Namespace,
    #[expect(dead_code, reason = "ends it when dropped")]
    process: Background,
}

impl Prometheus {
    const PORT: u16 = 9090;

    fn start(lan: &Lan, dashboard: &Dashboard) -> Self {
        let directory = Background::directory();
        let file = directory.path().join("prometheus.yml");
        let configuration = format!(
            "scrape_configs:\n- job_name: redirector\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
             static_configs:\n  - targets: ['{}']\n",
            dashboard.address
        );
        fs::write(&file, configuration).expect("a configuration");
        let mut command = lan.server.command("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{}", Self::PORT));
        let mut process = Background::start(&mut command, directory);
        wait::until("prometheus listens", || {
            process.assert_running();
            lan.server.listens_on(Self::PORT)
        });
        Self {
            lan_server: lan.server.clone(),
            process,
        }
    }

    #[track_caller]
    fn value(&self, query: &str) -> f64 {
        wait::until_some(query, || {
            let url = format!("http://127.0.0.1:{}/api/v1/query", Self::PORT);
            let output = run(self
                .lan_server
                .command("curl")
                .args([
                    "--silent",
                    "--noproxy",
                    "*",
                    "--get",
                    &url,
                    "--data-urlencode",
                ])
                .arg(format!("query={query}")));
            let answer: Value = serde_json::from_str(&output.stdout).ok()?;
            answer["data"]["result"][0]["value"][1]
                .as_str()?
                .parse()
                .ok()
        })
    }
}

#[test]
fn contributed_alerts_and_board_are_valid() {
    let contrib = concat!(env!("CARGO_MANIFEST_DIR"), "/../contrib");
    let promtool = |arguments: &[&str]| {
        let mut command = std::process::Command::new("promtool");
        run(command.args(arguments).current_dir(contrib)).success("promtool")
    };
    promtool(&["check", "rules", "prometheus/redirector.rules.yml"]);
    promtool(&["test", "rules", "prometheus/redirector.test.yml"]);
    let board = fs::read_to_string(format!("{contrib}/grafana/redirector.json")).expect("a board");
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let metrics = Dashboard::start(&instance).get("/metrics", &[]).body;
    let names: BTreeSet<&str> = metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let rules = fs::read_to_string(format!("{contrib}/prometheus/redirector.rules.yml"));
    let text = board.clone() + &rules.expect("rules");
    let mut used = BTreeSet::new();
    for word in text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
        if word.starts_with("redirector_") {
            used.insert(word);
        }
    }
    assert!(used.len() > 8, "{used:?}");
    let unknown: Vec<_> = used.difference(&names).collect();
    assert!(unknown.is_empty(), "{unknown:?} of {names:?}");
    assert_eq!(json(&board)["title"], "redirector");
}

#[test]
fn only_this_host_reaches_it_by_its_own_names() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let port = dashboard.address.port();
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("evil.example:{port}"), 421),
        ("192.0.2.1".to_owned(), 421),
    ] {
        for path in ["/", "/api/v1/stats", "/metrics", "/healthz"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            assert_eq!(dashboard.ask(&request).status, status, "{host} {path}");
        }
    }
    let foreign = dashboard.get("/api/v1/stats", &["sec-fetch-site: cross-site"]);
    assert_eq!(foreign.status, 403);
    let page = dashboard.get("/", &[]);
    for line in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "x-content-type-options: nosniff",
    ] {
        assert!(page.headers.contains(line), "{line}: {}", page.headers);
    }
    for word in ["<style", " style=", "onclick", "http://", "https://"] {
        assert!(!page.body.contains(word), "{word} in the page");
    }
}

#[test]
fn others_need_a_token() {
    const SECRET: &str = "correct-horse-battery-staple";
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let directory = Background::directory();
    let file = directory.path().join("token");
    fs::write(&file, format!("{SECRET}\n")).expect("a token");
    let file = file.display();
    for (arguments, code, words) in [
        ("--listen 0.0.0.0:9180".to_owned(), 2, "--allow-remote"),
        ("--listen [::]:9180".to_owned(), 2, "--allow-remote"),
        (
            "--listen 0.0.0.0:9180 --allow-remote".to_owned(),
            2,
            "--token-file",
        ),
        ("--token-file /nonexistent".to_owned(), 2, "/nonexistent"),
        ("--listen 9180".to_owned(), 2, "9180"),
    ] {
        let output = instance.run("dashboard", &arguments);
        assert_eq!(output.code, Some(code), "{arguments}: {output:#?}");
        assert!(output.stderr.contains(words), "{arguments}: {output:#?}");
    }

    let arguments = format!("--listen 0.0.0.0:0 --allow-remote --token-file {file}");
    let dashboard = Dashboard::of(&instance, &mut instance.command("dashboard", &arguments));
    let to = format!("http://{}:{}", SERVER.v4, dashboard.address.port());
    let curl = |arguments: &[&str]| {
        let mut command = lan.client.command("curl");
        command.args(["--silent", "--noproxy", "*", "--max-time", "10"]);
        let output = run(command.args(arguments));
        output.success("curl")
    };
    let code = |path: &str, arguments: &[&str]| {
        let url = format!("{to}{path}");
        let mut all = vec!["--output", "/dev/null", "--write-out", "%{http_code}", &url];
        all.extend(arguments);
        curl(&all)
    };
    let bearer = format!("authorization: Bearer {SECRET}");
    for path in [
        "/api/v1/status",
        "/api/v1/stats",
        "/api/v1/flows",
        "/api/v1/history",
        "/metrics",
    ] {
        assert_eq!(code(path, &[]), "401", "{path}");
        assert_eq!(
            code(path, &["-H", "authorization: Bearer wrong"]),
            "401",
            "{path}"
        );
        assert_eq!(code(path, &["-H", &bearer]), "200", "{path}");
    }
    assert_eq!(code("/api/v1/events", &[]), "401");
    assert_eq!(code("/healthz", &[]), "200");
    assert_eq!(code("/", &[]), "303");
    assert_eq!(code("/login", &["--data", "token=wrong"]), "401");

    let jar = directory.path().join("jar").display().to_string();
    let login = format!("{to}/login");
    curl(&[
        "--cookie-jar",
        &jar,
        "--data-urlencode",
        &format!("token={SECRET}"),
        &login,
    ]);
    let cookie = fs::read_to_string(&jar).expect("a cookie");
    assert!(cookie.contains("#HttpOnly_"), "{cookie}");
    assert!(!cookie.contains(SECRET), "{cookie}");
    assert_eq!(code("/", &["--cookie", &jar]), "200");
    assert_eq!(code("/api/v1/stats", &["--cookie", &jar]), "200");
    let large = "x".repeat(10_000);
    assert_eq!(
        code("/login", &["--data", &format!("token={large}")]),
        "413"
    );
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let output = instance.run("dashboard", &format!("--listen {}", dashboard.address));
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert!(
        output.stderr.contains("in use") && output.stderr.contains("--listen"),
        "{output:#?}"
    );
}

/// Garbage is answered with an error or not at all, and keeps nobody from being served.
#[test]
fn garbage_is_shrugged_off() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let long = "a".repeat(200_000);
    let host = format!("host: {}", dashboard.address);
    for (what, request) in [
        (
            "not HTTP",
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".to_owned(),
        ),
        ("no method", " / HTTP/1.1\r\n\r\n".to_owned()),
        (
            "another version",
            format!("GET / HTTP/9.9\r\n{host}\r\n\r\n"),
        ),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "no host",
            "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            "a long line",
            format!("GET /{long} HTTP/1.1\r\n{host}\r\n\r\n"),
        ),
        (
            "a long header",
            format!("GET / HTTP/1.1\r\n{host}\r\nx: {long}\r\n\r\n"),
        ),
        (
            "a bad length",
            format!("POST /login HTTP/1.1\r\n{host}\r\ncontent-length: x\r\n\r\n"),
        ),
        (
            "two lengths",
            format!(
                "POST /login HTTP/1.1\r\n{host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"
            ),
        ),
        (
            "another method",
            format!("DELETE /api/v1/stats HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n"),
        ),
        (
            "a way up",
            format!("GET /assets/../../etc/passwd HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n"),
        ),
        ("a zero byte", format!("GET /\0 HTTP/1.1\r\n{host}\r\n\r\n")),
    ] {
        let answer = dashboard.ask(&request);
        assert!(
            answer.status == 0 || (400..=505).contains(&answer.status),
            "{what}: {answer:?}"
        );
        dashboard.process.assert_running();
    }
    let mut random = integration::random::Random::from_printed_seed();
    for _ in 0..200 {
        let bytes: Vec<u8> = (0..random.below(600))
            .map(|_| random.below(256) as u8)
            .collect();
        let mut stream = dashboard.connect();
        let _ = stream.write_all(&bytes);
    }
    assert_eq!(dashboard.get("/healthz", &[]).status, 200);
    assert_eq!(dashboard.process.stderr(), "");
}

/// 200 watch, others take nothing or never finish a request: all of the first go on, and memory stays.
#[test]
fn two_hundred_viewers_and_stuck_ones() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut dashboard = Dashboard::start(&instance);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let mut viewers: Vec<_> = (0..200).map(|_| dashboard.events()).collect();
    let stuck: Vec<_> = (0..20).map(|_| dashboard.events()).collect();
    let silent: Vec<TcpStream> = (0..20).map(|_| dashboard.connect()).collect();
    let slow: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = dashboard.connect();
            stream
                .write_all(b"GET / HTTP/1.1\r\nho")
                .expect("half a request");
            stream
        })
        .collect();
    for viewer in &mut viewers {
        event(viewer, "sample");
    }
    let before = dashboard.memory();
    let rounds = ordinary_or_long(5, 100);
    for round in 0..rounds {
        connection.exchange("while they watch");
        let at: BTreeSet<String> = viewers
            .iter_mut()
            .map(|viewer| event(viewer, "sample")["at"].to_string())
            .collect();
        // They are read one after another, and all have been told the same by the end.
        assert!(at.len() <= 3, "round {round}: {at:?}");
    }
    let after = dashboard.memory();
    assert!(after < before + 8 * 1024, "{before} KiB, then {after} KiB");
    // Those that never finish a request are let go.
    for mut stream in silent.into_iter().chain(slow) {
        stream
            .set_read_timeout(Some(wait::DEADLINE))
            .expect("a timeout");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok(), "{ended:?}");
    }
    drop(stuck);
    dashboard.process.assert_running();
    assert_eq!(dashboard.json("/healthz")["healthy"], true);
}

/// More than there is a place for are told so, and the rest goes on.
#[test]
fn there_is_a_bound_on_viewers() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut viewers: Vec<_> = (0..256).map(|_| dashboard.events()).collect();
    for viewer in &mut viewers {
        event(viewer, "sample");
    }
    assert_eq!(dashboard.get("/api/v1/events", &[]).status, 503);
    assert_eq!(dashboard.get("/metrics", &[]).status, 200);
    drop(viewers);
    wait::until("places are given back", || {
        let mut stream = dashboard.connect();
        let request = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {}\r\n\r\n",
            dashboard.address
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("an answer");
        start.ends_with(b"200")
    });
}

/// Traffic, scrapes and every document again and again: memory does not grow with time.
#[test]
fn memory_is_flat_under_load() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut viewers: Vec<_> = (0..20).map(|_| dashboard.events()).collect();
    let load = |seconds: u64| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            let to = SocketAddr::new(SERVER.v4, 80);
            Connection::open(&lan.client, to, &listener).exchange("load");
            for path in ["status", "stats", "flows", "history"] {
                dashboard.json(&format!("/api/v1/{path}"));
            }
            assert_eq!(dashboard.get("/metrics", &[]).status, 200);
        }
    };
    let drained = thread::scope(|scope| {
        for viewer in &mut viewers {
            scope.spawn(|| while event(viewer, "sample")["loaded"] == true {});
        }
        load(ordinary_or_long(5, 60));
        let before = dashboard.memory();
        load(ordinary_or_long(10, 540));
        let after = dashboard.memory();
        // It ends the viewers.
        instance.run("unload", "").success("unload");
        (before, after)
    });
    let (before, after) = drained;
    println!("{before} KiB, then {after} KiB");
    assert!(
        after < before + before / 10 + 1024,
        "{before} KiB, then {after} KiB"
    );
}

#[test]
fn ten_thousand_rules_stay_usable() {
    use std::fmt::Write;
    let lan = Lan::new();
    let directory = Background::directory();
    let file = directory.path().join("many.toml");
    let mut text = "interfaces = [\"eth0\", \"lo\"]\n".to_owned();
    for from in 2000..12_000 {
        write!(
            text,
            "[[redirect]]\nfrom = {from}\nto = {}\n",
            from + 20_000
        )
        .expect("a string");
    }
    fs::write(&file, text).expect("a configuration");
    let instance = Instance::load(&lan.server, &format!("-c {}", file.display()));
    let dashboard = Dashboard::start(&instance);
    let listener = Listener::bind(&lan.server, 31_999);
    let mut events = dashboard.events();
    let mut connection =
        Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 11_999), &listener);
    let busy = wait::until_some("the busy rule among the few", || {
        connection.exchange("traffic");
        let sample = event(&mut events, "sample");
        let rules = sample["stats"]["rules"].as_array()?.clone();
        assert!(rules.len() <= 32, "{} rules", rules.len());
        assert_eq!(sample["rules_total"], 10_000);
        rules.into_iter().find(|rule| rule["from"] == 11_999)
    });
    assert!(busy["in"]["packets"].as_u64() > Some(0), "{busy}");
    let stats = dashboard.json("/api/v1/stats");
    assert_eq!(stats["rules"].as_array().map(Vec::len), Some(10_000));
    check_metrics(&dashboard.get("/metrics", &[]).body);
    println!("{} KiB", dashboard.memory());
    assert!(
        dashboard.memory() < 200 * 1024,
        "{} KiB",
        dashboard.memory()
    );
}

/// Nobody, without any capability, serves everything; and what it can open cannot be written.
#[test]
fn needs_no_privilege() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    connection.exchange("something to count");
    let directory = Background::directory();
    let copy = directory.path().join("redirector");
    fs::copy(integration::redirector::binary(), &copy).expect("a copy that everybody can run");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let mut command = lan.server.command("setpriv");
    command.args(
        "--reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all".split(' '),
    );
    command.arg(&copy).args([
        "dashboard",
        "--listen",
        "127.0.0.1:0",
        "--name",
        instance.name(),
    ]);
    let dashboard = Dashboard::of(&instance, &mut command);
    let status = fs::read_to_string(format!("/proc/{}/status", dashboard.process.pid()));
    let status = status.expect("a running dashboard");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "Uid:\t65534\t65534",
    ] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let stats = dashboard.json("/api/v1/stats");
    assert!(
        rule(&stats, "tcp", 80)["in"]["packets"].as_u64() > Some(0),
        "{stats}"
    );
    assert_eq!(dashboard.json("/api/v1/status")["loaded"], true);
    let flows = dashboard.json("/api/v1/flows");
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(1), "{flows}");
    check_metrics(&dashboard.get("/metrics", &[]).body);
    let sample = event(&mut dashboard.events(), "sample");
    assert_eq!(sample["loaded"], true, "{sample}");
}
