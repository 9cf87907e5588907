//! A newer binary replaces the programs where they run, on the maps that are there.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use ::redirector::kernel::Plain;
use aya::maps::{Array, Map, MapData};
use integration::counters::rule;
use integration::footprint::Footprint;
use integration::process::{Background, Output};
use integration::redirector::{self, Instance, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;
use nix::sys::signal::Signal;
use redirector_common::abi::Settings;

const RULES: &str = "-i eth0 -i lo 80:8000";
const REPLACED: &str = "replaced in place";

/// As if another build had loaded it.
fn make_old(instance: &Instance) {
    let build = instance.pins().join("build");
    fs::remove_file(&build).expect("a build to forget");
    symlink("0.0.9-older", build).expect("another build");
}

fn build(instance: &Instance) -> String {
    let build = fs::read_link(instance.pins().join("build")).expect("a build");
    build.to_string_lossy().into_owned()
}

/// The ids of what is attached.
fn attached(instance: &Instance) -> BTreeSet<u64> {
    let Footprint {
        tcx, xdp, filters, ..
    } = Footprint::of(instance);
    let by_filters = filters.iter().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.find(|word| *word == "id")?;
        words.next()?.parse().ok()
    });
    let by_links = tcx.into_iter().map(u64::from);
    by_links
        .chain(xdp.iter().map(|xdp| xdp.program))
        .chain(by_filters)
        .collect()
}

fn flows(instance: &Instance) -> BTreeSet<String> {
    let flows = json(&instance.run("flows", "--json").success("flows"));
    let flows = flows["flows"].as_array().expect("flows").iter();
    flows
        .map(|flow| format!("{} {}", flow["client"], flow["to"]))
        .collect()
}

fn packets(instance: &Instance) -> u64 {
    let stats = instance.stats();
    let packets = rule(&stats, "tcp", 80)["in"]["packets"].as_u64();
    packets.filter(|packets| *packets > 0).expect("packets")
}

#[track_caller]
fn assert_replaced(output: Output) {
    assert!(output.stderr.contains("0.0.9-older"), "{output:#?}");
    assert!(output.stderr.contains(REPLACED), "{output:#?}");
    output.success("reload");
}

#[test]
fn a_reload_replaces_the_programs_and_keeps_everything_else() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let cases = [
        ("0", "", 2),
        ("1", "", 2),
        ("0", "--hook xdp", 3),
        ("0", "--hook xdp --xdp-mode generic", 3),
    ];
    for (no_tcx, hook, programs) in cases {
        let case = format!("REDIRECTOR_NO_TCX={no_tcx} {hook}");
        let mut instance = Instance::unloaded(&lan.server);
        instance.set("REDIRECTOR_NO_TCX", no_tcx);
        instance
            .run("load", &format!("{hook} {RULES}"))
            .success(&case);
        let mut live = Connection::open_everywhere(&lan, &listener);
        let own = build(&instance);
        make_old(&instance);
        let before = attached(&instance);
        assert_eq!(before.len(), programs, "{case}");
        let pins = Footprint::of(&instance).pins;
        let (known, packets) = (flows(&instance), packets(&instance));

        let dry = instance.run("reload", "--dry-run").success(&case);
        assert!(dry.contains("~ the programs"), "{case}: {dry}");
        assert_eq!(attached(&instance), before, "{case}: a rehearsal");
        assert_replaced(instance.run("reload", ""));

        let after = attached(&instance);
        assert_eq!(after.len(), programs, "{case}");
        assert!(before.is_disjoint(&after), "{case}: {before:?}, {after:?}");
        assert_eq!(Footprint::of(&instance).pins, pins, "{case}");
        assert_eq!(build(&instance), own, "{case}");
        assert_eq!(flows(&instance), known, "{case}");
        assert!(self::packets(&instance) >= packets, "{case}");
        live.iter_mut().for_each(|each| each.exchange(&case));
        live.extend(Connection::open_everywhere(&lan, &listener));

        let again = instance.run("reload", "");
        assert!(!again.stderr.contains(REPLACED), "{case}: {again:#?}");
        assert_eq!(attached(&instance), after, "{case}: for nothing");
        instance.run("load", RULES).success("as it is loaded");
    }
}

/// Clients come and go all the while.
#[test]
fn no_connection_notices() {
    const UPGRADES: usize = 5;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    for no_tcx in ["0", "1"] {
        let mut instance = Instance::unloaded(&lan.server);
        instance.set("REDIRECTOR_NO_TCX", no_tcx);
        instance.run("load", RULES).success("load");
        let is_over = AtomicBool::new(false);
        let connections = thread::scope(|scope| {
            let clients = scope.spawn(|| {
                let mut connections = 0;
                while !is_over.load(Ordering::Relaxed) {
                    for to in SERVER.both(80) {
                        Connection::open(&lan.client, to, &listener).exchange("meanwhile");
                        connections += 1;
                    }
                }
                connections
            });
            for _ in 0..UPGRADES {
                make_old(&instance);
                assert_replaced(instance.run("reload", ""));
            }
            is_over.store(true, Ordering::Relaxed);
            clients.join().expect("clients that notice nothing")
        });
        assert!(connections > UPGRADES, "{connections} connections");
    }
}

#[test]
fn an_interrupted_upgrade_leaves_what_works() {
    const MOST_STEPS: u32 = 40;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    for no_tcx in ["0", "1"] {
        for variable in ["REDIRECTOR_FAIL_AT", "REDIRECTOR_KILL_AT"] {
            let mut instance = Instance::unloaded(&lan.server);
            instance.set("REDIRECTOR_NO_TCX", no_tcx);
            instance.run("load", RULES).success("load");
            let pins = Footprint::of(&instance).pins;
            let mut live = Connection::open_everywhere(&lan, &listener);
            let steps = (1..=MOST_STEPS).find(|step| {
                make_old(&instance);
                let before = attached(&instance);
                let case = format!("REDIRECTOR_NO_TCX={no_tcx} {variable}={step}");
                let mut command = instance.command("reload", "");
                let output = integration::process::run(command.env(variable, step.to_string()));
                live.iter_mut().for_each(|each| each.exchange(&case));
                if output.code == Some(1) && build(&instance) == "0.0.9-older" {
                    assert_eq!(Footprint::of(&instance).pins, pins, "{case}");
                }
                let again = instance.run("reload", "").success(&case);
                assert!(!again.is_empty());
                assert_eq!(Footprint::of(&instance).pins, pins, "again after {case}");
                assert_ne!(build(&instance), "0.0.9-older", "{case}");
                let after = attached(&instance);
                assert!(before.is_disjoint(&after), "{case}: {before:?}, {after:?}");
                assert_eq!(after.len(), 2, "{case}");
                live.iter_mut().for_each(|each| each.exchange(&case));
                output.code == Some(0)
            });
            let steps = steps.unwrap_or_else(|| panic!("{variable}: no upgrade got through"));
            assert!(steps > 5, "{variable}: step {steps} was never reached");
        }
    }
}

/// As a package's upgrade does with the service.
#[test]
fn the_next_run_brings_its_programs() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let start = || {
        let mut command = instance.command("run", RULES);
        let mut run = Background::start(&mut command, Background::directory());
        wait::until("the instance is kept", || {
            run.assert_running();
            let status = json(&instance.run("status", "--json").stdout);
            status["supervisor"] == run.pid()
        });
        run
    };
    let mut first = start();
    let mut live = Connection::open_everywhere(&lan, &listener);
    let before = attached(&instance);
    first.signal(Signal::SIGKILL);
    first.end();
    make_old(&instance);
    let second = start();
    wait::until("it says so", || second.stderr().contains(REPLACED));
    assert!(before.is_disjoint(&attached(&instance)));
    live.iter_mut().for_each(|each| each.exchange("taken over"));
}

/// As a package's upgrade does with the service: the process stays the same one, as a service manager sees it.
#[test]
fn a_hangup_after_the_binary_was_replaced_goes_on_as_the_new_one() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    let directory = Background::directory();
    let installed = directory.path().join("redirector");
    let install = || {
        let new = directory.path().join("new");
        fs::copy(redirector::binary(), &new).expect("a copy");
        fs::rename(new, &installed).expect("an upgrade");
    };
    install();
    let mut command = lan.server.command(&installed.display().to_string());
    command.args(["run", "--name", instance.name()]);
    command.args(RULES.split_whitespace());
    let mut run = Background::start(&mut command, Background::directory());
    let is_kept = || {
        let status = json(&instance.run("status", "--json").stdout);
        status["supervisor"] == run.pid()
    };
    wait::until("the instance is kept", is_kept);
    let mut live = Connection::open_everywhere(&lan, &listener);
    let before = attached(&instance);

    run.signal(Signal::SIGHUP);
    wait::until("it was told", || run.stderr().contains("as wanted already"));
    assert!(!run.stderr().contains("took over"), "{}", run.stderr());
    make_old(&instance);
    install();
    run.signal(Signal::SIGHUP);
    wait::until("it goes on", || run.stderr().contains("took over"));
    wait::until("the instance is kept", is_kept);
    assert!(before.is_disjoint(&attached(&instance)));
    live.iter_mut().for_each(|each| each.exchange("upgraded"));
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(), Some(0), "{}", run.stderr());
}

#[test]
fn maps_of_another_layout_are_told_and_a_run_replaces_them() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let pin = instance.pins().join("maps/SETTINGS");
    let map = MapData::from_pin(&pin).and_then(Map::from_map_data);
    let map = map.expect("the settings");
    let mut map = Array::<_, Plain<Settings>>::try_from(map).expect("an array of settings");
    let Plain(mut settings) = map.get(&0, 0).expect("settings");
    settings.abi += 1;
    map.set(0, Plain(settings), 0).expect("another layout");

    let reload = instance.run("reload", RULES);
    assert_eq!(reload.code, Some(1), "{reload:#?}");
    for word in ["map layout", "in place", "redirector unload", "counters"] {
        assert!(reload.stderr.contains(word), "{word}: {reload:#?}");
    }
    let mut command = instance.command("run", RULES);
    let mut run = Background::start(&mut command, Background::directory());
    wait::until("it is loaded", || {
        run.assert_running();
        instance.run("status", "").code == Some(0)
    });
    assert!(run.stderr().contains("map layout"), "{}", run.stderr());
    drop(Connection::open_everywhere(&lan, &listener));
}
