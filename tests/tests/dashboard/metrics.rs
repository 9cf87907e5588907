//! Metrics, and what is contributed to use them.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use integration::counters::rule;
use integration::dashboard::Dashboard;
use integration::netns::Namespace;
use integration::process::{Background, run};
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;
use serde_json::Value;

use crate::RULES;

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
    check(&text.body);
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

/// By promtool, which says nothing where nothing is wrong.
#[track_caller]
pub fn check(text: &str) {
    let directory = Background::directory();
    let file = directory.path().join("metrics");
    fs::write(&file, text).expect("a file");
    let mut promtool = Command::new("sh");
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
    host: Namespace,
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
            host: lan.server.clone(),
            process,
        }
    }

    #[track_caller]
    fn value(&self, query: &str) -> f64 {
        wait::until_some(query, || {
            let url = format!("http://127.0.0.1:{}/api/v1/query", Self::PORT);
            let output = run(self
                .host
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
        let mut command = Command::new("promtool");
        run(command.args(arguments).current_dir(contrib)).success("promtool")
    };
    promtool(&["check", "rules", "prometheus/redirector.rules.yml"]);
    promtool(&["test", "rules", "prometheus/redirector.test.yml"]);
    let board = fs::read_to_string(format!("{contrib}/grafana/redirector.json")).expect("a board");
    let lan = Lan::new();
    let _listener = Listener::bind(&lan.server, 8000);
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
