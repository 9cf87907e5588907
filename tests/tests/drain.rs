//! `unload --drain`: nothing new is redirected, and what is live goes on until it ends or time runs out.

use std::net::SocketAddr;

use integration::footprint::Footprint;
use integration::process::Background;
use integration::redirector::{Instance, json};
use integration::server::{Connection, Listener, connect, is_refused};
use integration::topology::{Lan, SERVER};
use integration::udp::{UdpClient, UdpServer};
use integration::wait;
use nix::sys::signal::Signal;

const RULES: &str = "-i eth0 -i lo 80:8000";

/// Asks first whether there are rules: a connection that nobody accepts would be waited for.
fn until_closed(lan: &Lan, instance: &Instance) {
    wait::until("no rules are in force", || {
        instance.status()["rules"] == serde_json::json!([])
    });
    for to in SERVER.both(80) {
        assert!(is_refused(&lan.client, to), "{to} is still redirected");
    }
}

/// A drain in the background, once it has begun.
fn begin(lan: &Lan, instance: &Instance, arguments: &str) -> Background {
    let mut command = instance.command("unload", arguments);
    let mut drain = Background::start(&mut command, Background::directory());
    until_closed(lan, instance);
    wait::until("it has seen what is live", || {
        drain.stdout().starts_with("draining instance")
    });
    drain.assert_running();
    drain
}

#[test]
fn live_connections_end_by_themselves() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let mut instance = Instance::unloaded(&lan.server);
    for no_tcx in ["0", "1"] {
        instance.set("REDIRECTOR_NO_TCX", no_tcx);
        let before = Footprint::of(&instance);
        instance.run("load", RULES).success("load");
        let mut live = Connection::open_everywhere(&lan, &listener);
        let mut drain = begin(&lan, &instance, "--drain 1h");
        while let Some(mut last) = live.pop() {
            last.exchange("during the drain");
            drain.assert_running();
        }
        assert_eq!(drain.end(), Some(0), "{}", drain.stderr());
        let told = drain.stdout();
        assert!(told.contains("\": 4 connections are live\n"), "{told}");
        assert!(told.contains("4 connections ended, 0 were cut"), "{told}");
        assert!(told.contains("unloaded instance"), "{told}");
        assert_eq!(Footprint::of(&instance), before);
    }
    instance.unset();
}

#[test]
fn what_is_live_when_time_runs_out_is_cut_and_counted() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let live = Connection::open_everywhere(&lan, &listener);
    let drained = instance.run("unload", "--drain 300ms").success("drain");
    assert!(
        drained.contains("0 connections ended, 4 were cut"),
        "{drained}"
    );
    assert_eq!(instance.run("status", "").code, Some(3));
    drop(live);
}

/// Neither those that came straight to the target nor those that have ended are waited for.
#[test]
fn nobody_waits_for_direct_connections() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let to = SocketAddr::new(SERVER.v4, 8000);
    let mut old = Connection::open(&lan.client, to, &listener);
    let instance = Instance::load(&lan.server, RULES);
    let mut direct = Connection::open(&lan.client, to, &listener);
    direct.exchange("before");
    drop(Connection::open_everywhere(&lan, &listener));
    let drained = instance.run("unload", "--drain 1h").success("drain");
    assert!(drained.contains(", 0 were cut"), "{drained}");
    old.exchange("older than the load");
    direct.exchange("after the drain");
}

/// What a socket remembers is seen also when newer flows have displaced its own.
#[test]
fn a_connection_that_only_its_socket_remembers_is_waited_for() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut live = Connection::open(&lan.client, SERVER.both(80)[0], &listener);
    live.exchange("before");
    wait::until("a flow older than a second", || {
        let flows = json(&instance.run("flows", "--json").success("flows"));
        flows["flows"][0]["age_seconds"].as_f64() > Some(1.2)
    });
    live.push("after a second");
    instance.forget_flows();
    let mut drain = begin(&lan, &instance, "--drain 1h");
    live.exchange("during the drain");
    drain.assert_running();
    drop(live);
    assert_eq!(drain.end(), Some(0), "{}", drain.stderr());
    let told = drain.stdout();
    assert!(told.contains("1 connection ended, 0 were cut"), "{told}");
}

#[test]
fn datagrams_are_waited_for_while_they_come() {
    let lan = Lan::new();
    let server = UdpServer::bind(&lan.server, 5353);
    let arguments = "-i eth0 -i lo 53:5353/udp";
    let instance = Instance::load(&lan.server, arguments);
    let client = UdpClient::connect(&lan.client, 0, SERVER.both(53)[0]);
    server.exchange(&client, "before");
    let drained = instance.run("unload", "--drain 1h").success("drain");
    assert!(drained.contains("0 were cut\nunloaded"), "{drained}");

    instance.run("load", arguments).success("load");
    server.exchange(&client, "loaded again");
    let drained = instance.run("unload", "--drain 100ms").success("drain");
    assert!(drained.contains("cannot be counted, were cut"), "{drained}");
}

/// An operator who has changed their mind.
#[test]
fn a_reload_ends_a_drain() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let mut live = Connection::open_everywhere(&lan, &listener);
    let mut drain = begin(&lan, &instance, "--drain 1h");
    instance.run("reload", "80:8000").success("reload");
    live.iter_mut().for_each(|each| each.exchange("reloaded"));
    drop(live);
    assert_eq!(drain.end(), Some(1), "{}", drain.stdout());
    let told = drain.stderr();
    assert!(told.contains("so it stays"), "{told}");
    assert!(connect(&lan.client, 0, SERVER.both(80)[0]).is_ok());
}

#[test]
fn every_instance_is_drained_at_once() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let other = Instance::load(&lan.server, "-i eth0 -i lo 81:8000");
    let instance = Instance::load(&lan.server, RULES);
    let live = Connection::open(&lan.client, SERVER.both(81)[0], &listener);
    let mut command = lan
        .server
        .command(&integration::redirector::binary().display().to_string());
    command.args(["unload", "--all", "--drain", "1h"]);
    let mut drain = Background::start(&mut command, Background::directory());
    for instance in [&instance, &other] {
        until_closed(&lan, instance);
    }
    drain.assert_running();
    drop(live);
    assert_eq!(drain.end(), Some(0), "{}", drain.stderr());
    for name in [instance.name(), other.name()] {
        let told = drain.stdout();
        assert!(
            told.contains(&format!("unloaded instance \"{name}\"")),
            "{told}"
        );
    }
}

#[test]
fn what_is_not_loaded_is_nothing_to_drain() {
    let lan = Lan::new();
    let instance = Instance::unloaded(&lan.server);
    let told = instance.run("unload", "--drain 1h").success("drain");
    assert!(told.contains("not loaded"), "{told}");
    let wrong = instance.run("unload", "--drain soon");
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    assert!(wrong.stderr.contains("a time such as 30s"), "{wrong:#?}");
}

/// A stop of the service, and a second signal of an operator who does not want to wait.
#[test]
fn run_drains_when_it_is_stopped() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::unloaded(&lan.server);
    for is_hurried in [false, true] {
        let mut command = instance.command("run", &format!("--drain 1h {RULES}"));
        let mut run = Background::start(&mut command, Background::directory());
        wait::until("it is loaded", || {
            run.assert_running();
            instance.run("status", "").code == Some(0)
        });
        let mut live = Connection::open_everywhere(&lan, &listener);
        run.signal(Signal::SIGTERM);
        until_closed(&lan, &instance);
        live.iter_mut().for_each(|each| each.exchange("stopping"));
        run.assert_running();
        if is_hurried {
            run.signal(Signal::SIGTERM);
            assert_eq!(run.end(), Some(0), "{}", run.stderr());
        }
        drop(live);
        assert_eq!(run.end(), Some(0), "{}", run.stderr());
        let expected = if is_hurried {
            "4 were cut"
        } else {
            "0 were cut"
        };
        assert!(run.stderr().contains(expected), "{}", run.stderr());
    }
}
