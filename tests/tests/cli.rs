//! What the command line refuses, how it says so, and what it needs.

use std::env::consts::ARCH;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::{Background, Output, run};
use integration::redirector::{Instance, binary, json};
use integration::server::{Connection, Listener};
use integration::topology::{LOOPBACK, Lan, SERVER};
use nix::sys::signal::Signal;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Arguments, and words that the error must contain.
const BAD_ARGUMENTS: &[(&str, &[&str])] = &[
    ("-i nosuch0 80:8000", &["nosuch0", "eth0", "lo"]),
    ("-i eht0 80:8000", &["eht0", "did you mean", "eth0"]),
    ("-i eth0 0:8000", &["0:8000"]),
    ("-i eth0 80:0", &["80:0"]),
    ("-i eth0 65536:8000", &["65536"]),
    ("-i eth0 80:65536", &["65536"]),
    ("-i eth0 -80:8000", &["-8"]),
    ("-i eth0 eighty:8000", &["eighty"]),
    ("-i eth0 80", &["80"]),
    ("-i eth0 80:80", &["80:80"]),
    ("-i eth0 80:8000/sctp", &["sctp"]),
    ("-i eth0 300.0.0.1:80:8000", &["300.0.0.1"]),
    ("-i eth0 [2001:db8::g]:80:8000", &["2001:db8::g"]),
    ("-i eth0 80:8000 80:8000", &["80:8000"]),
    ("-i eth0 80:8000 80:8000/both", &["80:8000"]),
    ("-i eth0 80:8000 80:9000", &["80:8000", "80:9000"]),
    ("-i eth0 --hook xpd 80:8000", &["xpd"]),
    ("-i eth0 --colour 80:8000", &["--colour"]),
    (
        "--config /nonexistent/redirector.toml",
        &["/nonexistent/redirector.toml"],
    ),
];

/// A configuration file, where in it the error must point (line and column), and words that the
/// error must contain.
const BAD_FILES: &[(&str, &str, &[&str])] = &[
    ("interfaces = [\"eth0\"\nhook = 1\n", "2:", &[]),
    (
        "[[redirect]]\nfrom = 80\nto = 8000\nprotcol = \"udp\"\n",
        "4:1",
        &["protcol", "protocol"],
    ),
    (
        "intrefaces = [\"eth0\"]\n",
        "1:1",
        &["intrefaces", "interfaces"],
    ),
    ("[[redirect]]\nfrom = 0\nto = 8000\n", "2:8", &["0"]),
    ("[[redirect]]\nfrom = 80\nto = 70000\n", "3:6", &["70000"]),
    ("[[redirect]]\nfrom = \"www\"\nto = 8000\n", "2:8", &[]),
    ("[[redirect]]\nfrom = 80\n", "1:", &["to"]),
    (
        "[[redirect]]\nfrom = 80\nto = 8000\nprotocol = \"tpc\"\n",
        "4:12",
        &["tpc", "tcp"],
    ),
    (
        "interfaces = [\"nosuch0\"]\n[[redirect]]\nfrom = 80\nto = 8000\n",
        "1:",
        &["nosuch0"],
    ),
    (
        "[[redirect]]\nfrom = 80\nto = 8000\n[[redirect]]\nfrom = 80\nto = 9000\n",
        "5:",
        &["80:9000", "80:8000"],
    ),
];

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let refuse = |arguments: &str, words: &[&str]| {
        for verb in ["load", "reload"] {
            let output = instance.run(verb, arguments);
            assert_usage_error(&output, words);
            assert_eq!(Footprint::of(&instance), before, "{verb} {arguments}");
        }
    };
    for (arguments, words) in BAD_ARGUMENTS {
        refuse(arguments, words);
    }
    let directory = Background::directory();
    let file = directory.path().join("redirector.toml");
    for (text, place, words) in BAD_FILES {
        fs::write(&file, text).expect("a configuration file");
        let place = format!("redirector.toml:{place}");
        let words = [words, [place.as_str()].as_slice()].concat();
        refuse(&format!("-c {}", file.display()), &words);
    }
}

#[test]
fn a_bad_reload_leaves_the_loaded_rules() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, "-i eth0 -i lo 80:8000");
    let before = Footprint::of(&instance);
    for arguments in [
        "-i eth0 80:0",
        "-i nosuch0 80:8000",
        "-i eth0 80:8000 80:9000",
    ] {
        assert_usage_error(&instance.run("reload", arguments), &[]);
        assert_eq!(Footprint::of(&instance), before, "{arguments}");
    }
    for (from, address) in lan.places() {
        Connection::open(from, SocketAddr::new(address, 80), &listener).exchange("port 80");
    }
}

#[test]
fn an_unknown_verb_is_named() {
    let host = Namespace::new("lone");
    let output = run(host.command(&path()).arg("laod"));
    assert_usage_error(&output, &["laod", "load"]);
}

#[test]
fn reading_what_is_not_loaded() {
    let host = Namespace::new("lone");
    let instance = Instance::unloaded(&host);
    for verb in ["status", "stats", "flows"] {
        let output = instance.run(verb, "");
        assert_eq!(output.code, Some(3), "{verb}: {output:#?}");
    }
    let status = instance.run("status", "--json");
    assert_eq!(status.code, Some(3), "{status:#?}");
    let document = json(&status.stdout);
    assert_eq!(document["schema"], 1);
    assert_eq!(document["loaded"], false);
    let reload = instance.run("reload", "-i lo 80:8000");
    assert_eq!(reload.code, Some(3), "{reload:#?}");
}

#[test]
fn a_dry_run_changes_nothing() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let plan = instance
        .run("load", "--dry-run -i eth0 -i lo 80:8000")
        .success("--dry-run");
    for word in ["eth0", "lo", "80", "8000"] {
        assert!(plan.contains(word), "{word} in {plan}");
    }
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn without_capabilities_both_are_named() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let directory = Background::directory();
    let copy = directory.path().join("redirector");
    fs::copy(binary(), &copy).expect("a copy that anybody may run");
    for path in [directory.path(), &copy] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let mut command = lan.server.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(copy);
    let output = run(with_load(&mut command, &instance));
    assert_eq!(output.code, Some(4), "{output:#?}");
    assert_words(&output, &["CAP_BPF", "CAP_NET_ADMIN"]);
    assert_eq!(Footprint::of(&instance), before);
}

/// The bpffs belongs to root, hence user 0, but without anything else that root can do.
#[test]
fn two_capabilities_are_enough() {
    let mut only = TWO.to_owned();
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    // Whoever comes first mounts the bpffs, and that takes more.
    let _mounts = Instance::load(&Namespace::new("other"), "-i lo 80:8000");

    let with = |only: &str| with_capabilities(&lan.server, only);
    // The programs of every kind of device.
    let check = |only: &str| run(with(only).args(["check", "-i", "eth0", "80:8000"]));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    if release.starts_with("5.") {
        let refused = check(&only);
        assert!(refused.stdout.contains("CAP_PERFMON"), "{refused:#?}");
        only.push_str(",+perfmon");
    }
    check(&only).success(&only);
    for hook in ["tc", "native", "generic"] {
        let instance = Instance::unloaded(&lan.server);
        let mut command = with(&only);
        with_load(&mut command, &instance);
        if hook != "tc" {
            command.args(["--hook", "xdp", "--xdp-mode", hook]);
        }
        let load = run(&mut command);
        assert_eq!(load.code, Some(0), "{hook}: {load:#?}");
        // The verifier does not trust such a process.
        let is_told = load.stderr.contains("without CAP_PERFMON");
        assert_eq!(is_told, !only.contains("perfmon"), "{load:#?}");
        for (from, address) in lan.places() {
            Connection::open(from, SocketAddr::new(address, 80), &listener).exchange(hook);
        }
    }
}

/// As setpriv has them.
const TWO: &str = "-all,+bpf,+net_admin";

/// The program, without any other capability.
fn with_capabilities(host: &Namespace, only: &str) -> Command {
    let mut command = host.command("setpriv");
    command
        .args([
            format!("--bounding-set={only}"),
            format!("--inh-caps={only}"),
        ])
        .arg(path());
    command
}

/// Messages are read once, and by who may open programs.
#[test]
fn the_log_names_what_it_takes() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "80:8000");
    let mut command = with_capabilities(&lan.server, TWO);
    command.args(["log", "--name", instance.name()]);
    let refused = run(&mut command);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    assert_words(&refused, &["CAP_SYS_ADMIN"]);
}

/// Also on a host that has no interface to load on by default.
#[test]
fn a_reload_of_nothing_says_that() {
    let host = Namespace::new("bare");
    let instance = Instance::unloaded(&host);
    for arguments in ["", "80:8000"] {
        let refused = instance.run("reload", arguments);
        assert_eq!(refused.code, Some(3), "{refused:#?}");
        assert_words(&refused, &["is not loaded"]);
    }
    let missing = instance.run("reload", "-i eth7 80:8000");
    assert_eq!(missing.code, Some(2), "{missing:#?}");
}

/// What an older kernel gets asks the verifier for trust.
#[test]
fn xdp_without_fragments_names_a_third() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let mut command = with_capabilities(&lan.server, TWO);
    command.env("REDIRECTOR_NO_XDP_FRAGS", "1");
    with_load(&mut command, &instance);
    command.args(["--hook", "xdp"]);
    let refused = run(&mut command);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    assert_words(&refused, &["CAP_PERFMON"]);
    assert_eq!(Footprint::of(&instance), before);
}

/// As in a container whose profile does not know bpf(2).
#[test]
fn a_filter_of_system_calls_is_named() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter: BpfProgram = SeccompFilter::new(
        [(libc::SYS_bpf, Vec::new())].into(),
        SeccompAction::Allow,
        refuse,
        ARCH.try_into().expect("an architecture that it knows"),
    )
    .and_then(TryInto::try_into)
    .expect("a filter");
    // It holds for this thread and what it starts.
    let filtered = |command: &mut Command| {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                seccompiler::apply_filter(&filter).expect("filtered");
                run(command)
            });
            thread.join().expect("no panic")
        })
    };
    let load = filtered(&mut instance.command("load", "-i eth0 -i lo 80:8000"));
    assert_eq!(load.code, Some(4), "{load:#?}");
    assert_words(&load, &["bpf(2)", "seccomp"]);
    let check = filtered(&mut instance.command("check", "-i eth0 80:8000"));
    assert!(check.stdout.contains("seccomp"), "{check:#?}");
    assert_eq!(Footprint::of(&instance), before);
}

/// As by Ctrl-Z and fg: the kernel gives up what it verifies at any signal.
#[test]
fn a_load_that_is_stopped_goes_on() {
    const TIMES: usize = 40;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let mut load = Background::start(
        &mut instance.command("load", "-i eth0 -i lo 80:8000"),
        Background::directory(),
    );
    for _ in 0..TIMES {
        for signal in [Signal::SIGSTOP, Signal::SIGCONT] {
            load.signal(signal);
        }
        // Less than one program takes, so that some meet it.
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(load.end(), Some(0), "{}", load.stderr());
    let to = SocketAddr::new(SERVER.v4, 80);
    Connection::open(&lan.client, to, &listener).exchange("port 80");
}

/// The most specific address wins.
#[test]
fn a_rule_for_an_address_goes_before_one_for_all() {
    let lan = Lan::new();
    let [any, v4, v6] = [8000, 9004, 9006].map(|port| Listener::bind(&lan.server, port));
    let (host_v4, host_v6) = (SERVER.v4, SERVER.v6);
    let rules = format!("-i eth0 -i lo 80:8000 {host_v4}:80:9004 [{host_v6}]:80:9006");
    let _instance = Instance::load(&lan.server, &rules);
    for (to, listener) in [
        (host_v4, &v4),
        (host_v6, &v6),
        (LOOPBACK.v4, &any),
        (LOOPBACK.v6, &any),
    ] {
        let to = SocketAddr::new(to, 80);
        Connection::open(&lan.server, to, listener).exchange(&to.to_string());
    }
    for (to, listener) in [(host_v4, &v4), (host_v6, &v6)] {
        let to = SocketAddr::new(to, 80);
        Connection::open(&lan.client, to, listener).exchange(&to.to_string());
    }
}

fn with_load<'a>(command: &'a mut Command, instance: &Instance) -> &'a mut Command {
    command.args([
        "load",
        "--name",
        instance.name(),
        "-i",
        "eth0",
        "-i",
        "lo",
        "80:8000",
    ])
}

fn path() -> String {
    binary().display().to_string()
}

#[track_caller]
fn assert_usage_error(output: &Output, words: &[&str]) {
    assert_eq!(output.code, Some(2), "{output:#?}");
    assert_words(output, words);
}

#[track_caller]
fn assert_words(output: &Output, words: &[&str]) {
    for word in words {
        assert!(
            output.stderr.contains(word),
            "{word:?} is not in {output:#?}"
        );
    }
    assert!(!output.stderr.contains("panicked"), "{output:#?}");
}
