//! `redirector top` in a real terminal.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use integration::many;
use integration::process::{Background, run};
use integration::redirector::{Instance, binary};
use integration::server::{Connection, Listener};
use integration::terminal::Terminal;
use integration::topology::{CLIENT, Lan, SERVER};
use integration::wait;

const RULES: &str = "-i eth0 -i lo 80:8000 443:4430";

fn start(terminal: &Terminal, instance: &Instance, before: &str) {
    let binary = binary();
    let name = instance.name();
    terminal.enter(&format!(
        "{before} {} top -n 0.2 --name {name}",
        binary.display()
    ));
}

/// Canonical mode and echo are on again, and what is typed arrives.
fn assert_restored(terminal: &Terminal) {
    terminal.until("the usual screen", |_| terminal.is_usual());
    terminal.enter("clear; stty -a | tr ' ' '\\n' | grep -x -e echo -e icanon | wc -l");
    terminal.until("the usual modes", |screen| {
        screen.lines().any(|line| line.trim() == "2")
    });
}

#[test]
fn shows_traffic_and_obeys_keys() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut connection = Connection::open(&lan.client, SocketAddr::new(SERVER.v4, 80), &listener);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "");
    let screen = terminal.until("rules and the flow", |screen| {
        connection_is_seen(screen, &connection)
    });
    println!("{screen}");
    assert_eq!(screen.lines().count(), 24, "{screen}");
    for text in [
        "80:8000/tcp",
        "443:4430/tcp",
        "LIVE",
        "IN BIT/S",
        "Flows",
        "help",
    ] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
    let stop = AtomicBool::new(false);
    let moving = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                connection.exchange("traffic");
                thread::sleep(Duration::from_millis(5));
            }
        });
        let seen = panic::catch_unwind(AssertUnwindSafe(|| {
            terminal.until("a rate and its bars", |screen| {
                let has_rate = screen.contains("kbit/s") || screen.contains("Mbit/s");
                has_rate && screen.contains(|bar| ('▁'..='█').contains(&bar))
            })
        }));
        stop.store(true, Ordering::Relaxed);
        seen.unwrap_or_else(|payload| panic::resume_unwind(payload))
    });
    println!("{moving}");
    for (key, sign) in [
        ("Tab", "ANSWERED"),
        ("Tab", "BACKLOG"),
        ("Tab", "REASON"),
        ("Tab", "SYN to SYN-ACK"),
        ("Tab", "PROTO"),
        ("s", "packets"),
        ("S", "↑"),
        ("?", "this help"),
    ] {
        terminal.press(key);
        let screen = terminal.until(key, |screen| screen.contains(sign));
        println!("{screen}");
    }
    terminal.press("?");
    terminal.enter("/443");
    terminal.until("one rule", |screen| {
        !screen.contains("80:8000/tcp") && screen.contains("443:4430/tcp")
    });
    terminal.press("Escape");
    terminal.until("all rules", |screen| screen.contains("80:8000/tcp"));
    terminal.press("Space");
    terminal.until("paused", |screen| screen.contains("paused"));
    terminal.press("Space");
    terminal.until("going on", |screen| !screen.contains("paused"));

    terminal.resize(120, 40);
    terminal.until("more columns", |screen| screen.contains("UNANSWERED"));
    terminal.resize(40, 10);
    terminal.until("a small one", |screen| {
        screen.contains("80:8000") && screen.lines().count() == 10
    });
    terminal.resize(80, 24);
    terminal.until("as before", |screen| screen.contains("help"));
    terminal.press("q");
    assert_restored(&terminal);
}

fn connection_is_seen(screen: &str, connection: &Connection) -> bool {
    let client = connection.client.local_addr().expect("the client");
    screen.contains(&format!("{}:{}", CLIENT.v4, client.port())) && screen.contains("answered")
}

#[test]
fn unloaded_and_loaded_while_it_runs() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "");
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    instance.run("unload", "").success("unload");
    terminal.until("not loaded", |screen| {
        screen.contains("is not loaded") && !screen.contains("80:8000/tcp")
    });
    instance.run("load", "-i lo 81:8000").success("load");
    terminal.until("the new rule", |screen| screen.contains("81:8000/tcp"));
    terminal.press("C-c");
    assert_restored(&terminal);
}

#[test]
fn the_terminal_is_as_before_after_a_panic_and_a_signal() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "REDIRECTOR_PANIC_IN_TOP=1");
    terminal.until("the panic's words", |screen| screen.contains("on request"));
    assert_restored(&terminal);
    start(&terminal, &instance, "");
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    lan.server.run(&format!("kill {}", pid(&lan, &instance)));
    assert_restored(&terminal);
}

/// A window that is closed, or a connection that is lost, leaves nothing running.
#[test]
fn ends_with_its_terminal() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "exec");
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    let process = format!("/proc/{}", pid(&lan, &instance));
    drop(terminal);
    wait::until("top has ended", || !Path::new(&process).exists());
}

fn pid(lan: &Lan, instance: &Instance) -> String {
    let words = format!("top -n 0.2 --name {}", instance.name());
    let found = run(lan.server.command("pgrep").args(["-f", &words]));
    let found = found.success("pgrep");
    found.lines().last().expect("a process").to_owned()
}

#[test]
fn colors_are_left_out_on_request() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let terminal = Terminal::open(&lan.server);
    let is_colored = |screen: &str| screen.contains("\x1b[36m") || screen.contains("\x1b[38;5;6m");
    start(&terminal, &instance, "");
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    assert!(
        is_colored(&terminal.screen_with_colors()),
        "{:?}",
        terminal.screen_with_colors()
    );
    terminal.press("q");
    assert_restored(&terminal);
    start(&terminal, &instance, "NO_COLOR=1");
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    assert!(
        !is_colored(&terminal.screen_with_colors()),
        "{:?}",
        terminal.screen_with_colors()
    );
    terminal.press("q");
    assert_restored(&terminal);
}

#[test]
fn no_terminal_is_refused_in_one_line() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let output = instance.run("top", "");
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.lines().count(), 1, "{output:#?}");
    assert!(output.stderr.contains("terminal"), "{output:#?}");
}

#[test]
fn ten_thousand_rules_scroll() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "");
    terminal.until("the first", |screen| screen.contains("2000:22000/tcp"));
    terminal.press("End");
    terminal.until("the last", |screen| screen.contains("11999:31999/tcp"));
    terminal.enter("/7777:");
    terminal.until("one of them", |screen| screen.contains("7777:27777/tcp"));
    terminal.press("q");
    assert_restored(&terminal);
}

/// As many as a held key makes while the terminal is slow.
#[test]
fn keys_that_come_together_are_all_obeyed_at_once() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let terminal = Terminal::open(&lan.server);
    start(&terminal, &instance, "");
    terminal.until("the first", |screen| screen.contains("2000:22000/tcp"));
    terminal.press(&"j".repeat(1_000));
    terminal.until("the thousandth", |screen| screen.contains("3000:23000/tcp"));
}

/// Nobody, without any capability.
#[test]
fn needs_no_privilege() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let directory = Background::directory();
    let copy = directory.path().join("redirector");
    fs::copy(binary(), &copy).expect("a copy that everybody can run");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let terminal = Terminal::open(&lan.server);
    terminal.enter(&format!(
        "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all \
         {} top --name {}",
        copy.display(),
        instance.name()
    ));
    terminal.until("rules", |screen| screen.contains("80:8000/tcp"));
    terminal.press("q");
    assert_restored(&terminal);
}
