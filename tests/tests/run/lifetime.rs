//! How it starts, is told of a new configuration, and ends.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use integration::bpffs;
use integration::counters::rule;
use integration::footprint::Footprint;
use integration::process::Background;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{Run, assert_answered, assert_refused, attached, connect, status_is};

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn a_kill_leaves_what_is_loaded_and_the_next_run_takes_it_over() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let run = Run::start(&instance, RULES);
    status_is(&instance, 0);
    let mut live = SERVER
        .both(80)
        .map(|to| Connection::open(&lan.client, to, &listener));
    let mut exchange = |when: &str| live.iter_mut().for_each(|each| each.exchange(when));
    exchange("before");
    let loaded = Footprint::of(&instance);
    run.kill();

    exchange("after the kill");
    assert_eq!(Footprint::of(&instance), loaded);
    let status = status_is(&instance, 0);
    assert!(status["supervisor"].is_null(), "{status}");
    assert_answered(&lan.client, SERVER.both(80), &listener);

    let mut run = Run::start(&instance, RULES);
    run.says("took over", 1);
    exchange("taken over");
    assert_eq!(Footprint::of(&instance), loaded);
    run.kill();

    // What happened meanwhile is made good, and another configuration is put in force.
    lan.server.ip("link add extra type bridge");
    let mut run = Run::start(&instance, "-i eth0 -i extra 80:8000 81:8000");
    run.says("took over", 1);
    run.says("extra appeared: attached by", 1);
    exchange("taken over and changed");
    assert_eq!(attached(&status_is(&instance, 0)), ["eth0", "extra"]);
    assert_answered(&lan.client, SERVER.both(81), &listener);
    run.stop();
    assert_refused(&lan.client, SERVER.both(80));
}

/// It has seen what is loaded, and waits for whoever unloads that.
#[test]
fn what_goes_before_it_is_taken_over_is_loaded() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let lock = bpffs::lock();
    let mut run = Run::spawn(&mut instance.command("run", RULES));
    bpffs::until_waited_for(&run.0);
    run.0.pause();
    drop(lock);
    instance.run("unload", "").success("unload");
    run.0.signal(Signal::SIGCONT);
    run.says("loaded instance", 1);
    assert_eq!(status_is(&instance, 0)["supervisor"], run.0.pid());
    assert_answered(&lan.client, SERVER.both(80), &listener);
    run.stop();
}

/// What is wanted is kept with what is loaded.
#[test]
fn what_is_missing_is_told_after_a_kill() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let run = Run::start(&instance, "-i eth* -i lo 80:8000");
    status_is(&instance, 0);
    run.kill();
    lan.server.ip("link delete eth0");
    status_is(&instance, 5);
    connect(&lan.client, &lan.server, "eth1");
    let text = instance.run("status", "");
    assert_eq!(text.code, Some(5), "{text:#?}");
    for word in ["gone", "eth1", "not attached", "redirector run"] {
        assert!(text.stdout.contains(word), "{word}: {text:#?}");
    }

    let mut run = Run::start(&instance, "-i eth* -i lo 80:8000");
    run.says("eth1 appeared: attached by", 1);
    assert_eq!(attached(&status_is(&instance, 0)), ["eth1", "lo"]);
    assert_answered(&lan.client, SERVER.both(80), &listener);
    run.kill();
    // A reload is content with what it finds.
    instance.run("reload", "-i lo 80:8000").success("reload");
    status_is(&instance, 0);
}

/// Nothing is attached that the run would not have attached, and nothing it waits for is forgotten.
#[test]
fn a_plain_reload_after_a_kill_keeps_what_is_waited_for() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    Run::start(&instance, "-i eth* -i wg0 80:8000").kill();
    lan.server.ip("link delete eth0");
    connect(&lan.client, &lan.server, "eth1");
    let reload = instance.run("reload", "");
    assert!(reload.stderr.contains("wg0"), "{reload:#?}");
    reload.success("reload");
    let status = status_is(&instance, 5);
    assert_eq!(attached(&status), ["eth1"]);
    assert_answered(&lan.client, SERVER.both(80), &listener);
    lan.server.ip("link add wg0 type bridge");
    instance.run("reload", "81:8000").success("reload");
    assert_eq!(attached(&status_is(&instance, 0)), ["eth1", "wg0"]);
    assert_answered(&lan.client, SERVER.both(81), &listener);
}

#[test]
fn a_hangup_reads_the_file_again() {
    let lan = Lan::new();
    let [old, new] = [8000, 9000].map(|port| Listener::bind(&lan.server, port));
    let instance = Instance::unloaded(&lan.server);
    let (_directory, file) = file("80", "8000");
    let mut run = Run::start(&instance, &format!("-c {}", file.display()));
    status_is(&instance, 0);
    let mut live = Connection::open(&lan.client, SERVER.both(80)[0], &old);

    fs::write(&file, config("80", "9000")).expect("a configuration file");
    run.0.signal(Signal::SIGHUP);
    run.says("reloaded", 1);
    assert_eq!(rule(&instance.status(), "tcp", 80)["to"], 9000);
    live.exchange("reloaded");
    assert_answered(&lan.client, SERVER.both(80), &new);

    let loaded = instance.status();
    for (times, (from, word)) in (1..).zip([("0", ":3:8: "), ("80\nxyz = 1", "key `xyz`")]) {
        fs::write(&file, config(from, "8000")).expect("a configuration file");
        run.0.signal(Signal::SIGHUP);
        run.says("cannot reload, so nothing was changed", times);
        run.says(word, 1);
        assert_eq!(instance.status(), loaded);
    }
    // The earlier one is still followed.
    lan.server.ip("link delete eth0");
    run.says("eth0 disappeared", 1);
    connect(&lan.client, &lan.server, "eth0");
    run.says("eth0 appeared", 1);
    assert_answered(&lan.client, SERVER.both(80), &new);
    run.stop();
}

#[test]
fn nobody_else_changes_what_it_keeps() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let run = Run::start(&instance, RULES);
    let status = status_is(&instance, 0);
    let loaded = Footprint::of(&instance);
    for (verb, arguments) in [
        ("run", "-i eth0 80:9000"),
        ("reload", "-i eth0 80:9000"),
        ("reload", ""),
        ("reload", "--dry-run"),
        ("unload", ""),
        ("unload", "--any-namespace"),
    ] {
        let refused = instance.run(verb, arguments);
        assert_eq!(refused.code, Some(1), "{verb}: {refused:#?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{verb}: {refused:#?}");
        for word in [&run.0.pid().to_string(), "redirector run", "SIGTERM"] {
            assert!(
                refused.stderr.contains(word),
                "{verb}, {word}: {refused:#?}"
            );
        }
        assert_eq!(instance.status(), status, "{verb}");
        assert_eq!(Footprint::of(&instance), loaded, "{verb}");
    }
    instance.run("load", RULES).success("the same again");
    assert_answered(&lan.client, SERVER.both(80), &listener);
    run.stop();
}

#[test]
fn what_load_refuses_run_refuses_too() {
    let lan = Lan::new();
    let other = Instance::load(&lan.server, "-i eth0 80:9000");
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for (arguments, code, word) in [
        (RULES, 1, other.name()),
        ("-i eth0 80:8000 80:8001", 2, "contradicts"),
        ("-c /nonexistent.toml", 2, "/nonexistent.toml"),
    ] {
        let refused = instance.run("run", arguments);
        assert_eq!(refused.code, Some(code), "{arguments}: {refused:#?}");
        assert!(refused.stderr.contains(word), "{arguments}: {refused:#?}");
        assert_eq!(Footprint::of(&instance), before, "{arguments}");
    }
}

#[test]
fn a_service_manager_is_told() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let directory = Background::directory();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    let receive = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut command = instance.command("run", RULES);
    let mut run = Run::of(&instance, command.env("NOTIFY_SOCKET", &path));
    let ready = receive();
    assert!(ready.contains("READY=1\n"), "{ready}");
    assert!(
        ready.contains("STATUS=redirecting on eth0, lo\n"),
        "{ready}"
    );
    assert_eq!(status_is(&instance, 0)["supervisor"], run.0.pid());

    lan.server.ip("link delete eth0");
    let degraded = "STATUS=degraded: redirecting on lo; waiting for eth0\n";
    // Some events change nothing.
    integration::wait::until(degraded, || receive() == degraded);

    run.0.signal(Signal::SIGHUP);
    let reloading = loop {
        let message = receive();
        if message != degraded {
            break message;
        }
    };
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    let ready = receive();
    assert!(
        ready.starts_with("READY=1\n") && ready.contains(degraded),
        "{ready}"
    );

    run.0.signal(Signal::SIGINT);
    assert_eq!(receive(), "STOPPING=1\n");
    assert_eq!(run.0.end(), Some(0));
    status_is(&instance, 3);
}

fn config(from: &str, to: &str) -> String {
    format!("interfaces = [\"eth0\"]\n[[redirect]]\nfrom = {from}\nto = {to}\n")
}

fn file(from: &str, to: &str) -> (TempDir, PathBuf) {
    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    fs::write(&file, config(from, to)).expect("a configuration file");
    (directory, file)
}
