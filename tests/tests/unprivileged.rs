//! Reading takes no privileges, and gives none.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::{fs, thread};

use aya::maps::MapData;
use aya::programs::ProgramInfo;
use aya::programs::links::PinnedLink;
use integration::counters::rule;
use integration::dashboard::{Dashboard, event};
use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::{Background, run};
use integration::redirector::{Instance, interface, json};
use integration::scene::Machine;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::user::{NOBODY, User};
use integration::wait;

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn every_reading_command_works_for_everybody() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let user = User::new();
    let to = SERVER.both(80);
    let mut connections = to.map(|to| Connection::open(&lan.client, to, &listener));
    for connection in &mut connections {
        connection.exchange("before it is read");
    }

    for verb in ["status", "stats", "flows"] {
        let [own, theirs] = ["--json", ""].map(|arguments| {
            let output = run(&mut user.command(&instance, verb, arguments));
            assert_eq!(output.code, Some(0), "{verb} {arguments}: {output:#?}");
            output
        });
        assert!(!theirs.stdout.is_empty());
        assert_eq!(json(&own.stdout)["name"], instance.name());
        assert_eq!(own.stderr, "", "{verb}");
    }
    let document = |verb| json(&run(&mut user.command(&instance, verb, "--json")).success(verb));
    let status = document("status");
    for name in ["eth0", "lo"] {
        let [theirs, roots] = [&status, &instance.status()].map(|status| {
            let interface = interface(status, name);
            (interface["hook"].clone(), interface["attached"].clone())
        });
        assert_eq!(theirs, roots, "{name}");
    }
    assert_eq!(
        rule(&document("stats"), "tcp", 80),
        rule(&instance.stats(), "tcp", 80)
    );
    assert_eq!(rule(&document("stats"), "tcp", 80)["live"], 2);
    assert_eq!(document("flows")["flows"].as_array().map(Vec::len), Some(2));
    // It says what it cannot know, and goes on.
    let check = run(&mut user.command(&instance, "check", "--json"));
    assert!(json(&check.stdout)["findings"].is_array(), "{check:#?}");

    // These two take something away from whoever else reads, and change what the programs do.
    for (verb, way_out) in [("log", "as root or with sudo"), ("trace", "only root may")] {
        let refused = run(&mut user.command(&instance, verb, ""));
        assert_eq!(refused.code, Some(4), "{verb}: {refused:#?}");
        assert!(refused.stderr.contains(way_out), "{verb}: {refused:#?}");
    }

    let mut watch = Background::start(
        &mut user.command(&instance, "stats", "--watch=0.1 --json"),
        Background::directory(),
    );
    wait::until("two documents", || watch.stdout().lines().count() > 2);
    instance.run("unload", "").success("unload");
    assert_eq!(watch.end(), Some(3), "{}", watch.stderr());
    assert!(watch.stderr().contains("not loaded"), "{}", watch.stderr());
}

/// Links are not theirs to open, but who has XDP may be asked by everybody.
#[test]
fn xdp_that_has_gone_is_missed_by_everybody() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let user = User::new();
    instance
        .run("load", "--hook xdp -i eth0 80:8000")
        .success("load");
    let status = || run(&mut user.command(&instance, "status", ""));
    assert_eq!(status().code, Some(0));
    let index = interface(&instance.status(), "eth0")["ifindex"].clone();
    lan.server.ip("link delete eth0");
    let again = format!("link add eth0 index {index} up type bridge");
    lan.server.ip(&again);
    let output = status();
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(output.stdout.contains("eth0 is detached"), "{output:#?}");
}

/// Where nothing else is loaded, bpffs is closed to others before the load and after the unload.
#[test]
fn who_cannot_look_is_told_so() {
    let host = Namespace::new("lone");
    // The other tests' instances would keep bpffs open.
    let machine = Machine::new(&host);
    let root = |line: &str| machine.sh(line).success(line);
    root("chmod 0700 /sys/fs/bpf");
    let instance = Instance::unloaded(&host);
    let name = instance.name();
    let user = User::new();
    let command =
        |verb: &str, arguments: &str| user.on(machine.command("setpriv"), name, verb, arguments);
    let assert_refused = |name: &str, code: i32, words: &str| {
        for verb in ["status", "status --json", "stats", "stats --watch", "flows"] {
            let (verb, arguments) = verb.split_once(' ').unwrap_or((verb, ""));
            let output = run(&mut user.on(machine.command("setpriv"), name, verb, arguments));
            assert_eq!(output.code, Some(code), "{verb}: {output:#?}");
            if code == 3 && arguments == "--json" {
                assert_eq!(json(&output.stdout)["loaded"], false, "{output:#?}");
                continue;
            }
            assert_eq!(output.stdout, "", "{verb}: {output:#?}");
            assert_eq!(output.stderr.lines().count(), 1, "{verb}: {output:#?}");
            assert!(output.stderr.contains(words), "{verb}: {output:#?}");
        }
    };
    let closed = "not loaded, or not for this user to read";
    assert_refused(name, 4, closed);
    let dashboard = Dashboard::of(&instance, &mut command("dashboard", "-l 127.0.0.1:0"));
    let mut events = dashboard.events();
    let mut until_loaded = |expected: bool| {
        wait::until_some("a sample of it", || {
            Some(event(&mut events, "sample")).filter(|sample| sample["loaded"] == expected)
        })
    };
    let assert_nothing_shown = || {
        assert_eq!(dashboard.json("/healthz")["healthy"], true);
        assert_eq!(dashboard.json("/healthz")["loaded"], false);
        assert_eq!(dashboard.json("/api/v1/status")["loaded"], false);
        let metrics = dashboard.get("/metrics", &[]);
        let loaded = format!("redirector_loaded{{name=\"{name}\"}} 0");
        assert!(metrics.body.contains(&loaded), "{metrics:?}");
        for path in ["/api/v1/stats", "/api/v1/flows"] {
            let answer = dashboard.get(path, &[]);
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.body.contains(closed), "{answer:?}");
        }
    };
    let sample = until_loaded(false);
    assert!(sample["reason"].to_string().contains(closed), "{sample}");
    assert_nothing_shown();

    root(&format!("redirector load --name {name} -i lo 80:8000"));
    until_loaded(true);
    assert_eq!(dashboard.json("/api/v1/status")["loaded"], true);
    let mut watch = Background::start(
        &mut command("stats", "--watch=0.1 --json"),
        Background::directory(),
    );
    wait::until("a document", || watch.stdout().contains('\n'));
    root(&format!("redirector unload --name {name}"));
    assert_eq!(watch.end(), Some(3), "{}", watch.stderr());
    // Or "any more", where the unload is through.
    let gone = "is not loaded";
    assert!(watch.stderr().contains(gone), "{}", watch.stderr());
    let sample = until_loaded(false);
    assert!(sample["reason"].to_string().contains(gone), "{sample}");
    assert_nothing_shown();
    assert_refused(name, 4, closed);

    root(&format!(
        "redirector load --name {name} --pin-mode 0600 -i lo 80:8000"
    ));
    assert_refused(name, 4, closed);
    // Now it can be seen what there is.
    root("redirector load --name open -i lo 81:8000");
    assert_refused(name, 4, closed);
    assert_refused("another", 3, "\"another\" is not loaded; ");
    root(&format!("redirector unload --name {name}"));
    assert_refused(name, 3, "is not loaded; loaded: open");
    root("redirector unload --name open");
}

#[test]
fn nobody_else_may_write() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let user = User::new();
    let before = Footprint::of(&instance);
    for (verb, arguments) in [
        ("load", RULES),
        ("reload", "-i eth0 80:9000"),
        ("unload", ""),
        ("run", RULES),
        ("trace", ""),
        ("log", ""),
    ] {
        let output = run(&mut user.command(&instance, verb, arguments));
        assert_eq!(output.code, Some(4), "{verb}: {output:#?}");
        assert_eq!(output.stdout, "", "{verb}: {output:#?}");
        let lines: Vec<_> = output.stderr.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.starts_with("error: ")),
            "{verb}: {output:#?}"
        );
    }
    let pins = instance.pins();
    as_nobody(|| {
        for map in fs::read_dir(pins.join("maps")).expect("the maps").flatten() {
            // aya opens to read and write.
            assert!(MapData::from_pin(map.path()).is_err(), "{map:?}");
        }
        for program in fs::read_dir(pins.join("programs"))
            .expect("the programs")
            .flatten()
        {
            assert!(
                ProgramInfo::from_pin(program.path()).is_err(),
                "{program:?}"
            );
        }
        for link in fs::read_dir(pins.join("links"))
            .expect("the links")
            .flatten()
        {
            assert!(PinnedLink::from_pin(link.path()).is_err(), "{link:?}");
            let removed = fs::remove_file(link.path()).expect_err("nobody removes a link");
            assert_eq!(removed.kind(), io::ErrorKind::PermissionDenied);
        }
        // A lock on it would keep changes away.
        assert!(fs::File::open(&pins).is_err(), "the instance's directory");
    });
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn a_pin_mode_keeps_others_out() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let user = User::new();
    let load = |mode: &str| instance.run("load", &format!("--pin-mode {mode} {RULES}"));
    for mode in ["0666", "0444", "rw", "1644"] {
        let output = load(mode);
        assert_eq!(output.code, Some(2), "{mode}: {output:#?}");
        assert!(output.stderr.contains(mode), "{mode}: {output:#?}");
    }
    load("0600").success("load");
    for verb in ["status", "stats", "flows"] {
        let output = run(&mut user.command(&instance, verb, ""));
        assert_eq!(output.code, Some(4), "{verb}: {output:#?}");
        assert!(output.stderr.contains("--pin-mode"), "{verb}: {output:#?}");
        instance.run(verb, "").success(verb);
    }
    for file in fs::read_dir(instance.pins().join("maps"))
        .expect("the maps")
        .flatten()
    {
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
}

/// On a thread that has no privileges any more.
fn as_nobody(action: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let nobody: libc::uid_t = NOBODY.parse().expect("a number");
            // The C library would change every thread.
            // SAFETY: no pointers but null.
            #[expect(unsafe_code, reason = "one thread alone")]
            let changed = unsafe {
                libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()) == 0
                    && libc::syscall(libc::SYS_setresgid, nobody, nobody, nobody) == 0
                    && libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) == 0
            };
            assert!(changed, "{}", io::Error::last_os_error());
            action();
        });
        thread.join().expect("the unprivileged thread");
    });
}
