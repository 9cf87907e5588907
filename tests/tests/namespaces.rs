//! Instances of several network namespaces, whose pins are in one file system.

use std::net::SocketAddr;
use std::process::Command;

use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::{Output, run};
use integration::redirector::{Instance, binary, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use integration::wait;

const RULES: &str = "-i eth0 -i lo 80:8000";

#[test]
fn an_instance_of_another_namespace_is_left_alone() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, RULES);
    let loaded = Footprint::of(&instance);
    let way = format!("nsenter --net=/run/netns/{}", lan.server.name());
    let elsewhere = |verb: &str, arguments: &str| {
        let mut command = lan.client.command(&binary().display().to_string());
        command.args([verb, "--name", instance.name()]);
        run(command.args(arguments.split_whitespace()))
    };
    for (verb, arguments) in [
        ("unload", ""),
        ("reload", "-i eth0 80:9000"),
        ("reload", "80:9000"),
        ("run", "-i eth0 80:9000"),
        ("load", "-i eth0 80:9000"),
        ("load", "--dry-run -i eth0 80:9000"),
        ("check", ""),
    ] {
        let output = elsewhere(verb, arguments);
        assert_eq!(output.code, Some(1), "{verb} {arguments}: {output:#?}");
        assert_eq!(output.stdout, "", "{verb} {arguments}: {output:#?}");
        for word in ["another network namespace", instance.name(), &way] {
            assert!(output.stderr.contains(word), "{word}: {output:#?}");
        }
        assert_eq!(Footprint::of(&instance), loaded, "{verb} {arguments}");
    }
    for verb in ["status", "stats", "flows"] {
        let output = elsewhere(verb, "--json");
        let words = "loaded in another network namespace";
        assert!(output.stderr.contains(words), "{output:#?}");
        assert!(output.stderr.contains(&way), "{output:#?}");
        let document = json(&output.success(verb));
        assert_eq!(document["name"], instance.name(), "{document}");
        if verb == "status" {
            assert_eq!(document["namespace"], "elsewhere", "{document}");
        }
        let output = instance.run(verb, "");
        assert_eq!(output.stderr, "", "{output:#?}");
    }
    assert_eq!(instance.status()["namespace"], "here");

    let to = SocketAddr::new(SERVER.v4, 80);
    Connection::open(&lan.client, to, &listener).exchange("it is still loaded");
    let unload = elsewhere("unload", "--any-namespace").success("unload");
    assert!(unload.contains(instance.name()), "{unload}");
    assert!(!Footprint::of(&instance).is_attached());
    assert_eq!(instance.run("status", "").code, Some(3));
}

/// They cannot be asked for from there.
#[test]
fn filters_of_another_namespace_do_not_count_as_detached() {
    let [host, other] = ["lone", "other"].map(Namespace::new);
    let mut instance = Instance::unloaded(&host);
    instance.set("REDIRECTOR_NO_TCX", 1);
    instance.run("load", "-i lo 80:8000").success("load");
    let mut command = other.command(&binary().display().to_string());
    command.args(["status", "--json", "--name", instance.name()]);
    let document = json(&run(&mut command).success("status"));
    assert_eq!(document["interfaces"][0]["attached"], true, "{document}");
}

/// In a mount namespace of its own, so that the instances of other tests are out of reach.
#[test]
fn unloading_all_is_about_one_namespace() {
    let [first, second] = ["first", "second"].map(Namespace::new);
    let script = r#"
        first load -i lo 80:8000
        first load --name web -i lo 81:8001
        second load --name other -i lo 80:8000
        echo ALL
        first unload --all 2>&1
        echo LEFT
        second status --name other
        first unload --all --any-namespace 2>&1
    "#;
    let output = run_with_pins_of_its_own(script, &first, &second);
    let text = output.clone().success("the script");
    let (_, text) = text
        .split_once("\nALL\n")
        .unwrap_or_else(|| panic!("{output:#?}"));
    let (all, text) = text.split_once("LEFT\n").expect("what was left");
    assert_eq!(
        all,
        format!(
            "unloaded instance \"default\"\nunloaded instance \"web\"\n\
             note: left 1 instance of other network namespaces (other); \
             `nsenter --net=/run/netns/{} redirector unload --name other`, \
             or --any-namespace from here\n",
            second.name()
        )
    );
    assert!(text.contains("instance \"other\" is loaded"), "{text}");
    assert!(text.ends_with("unloaded instance \"other\"\n"), "{text}");
}

/// None is unloaded if one is kept, but whatever is kept in another namespace is not reached.
#[test]
fn unloading_all_leaves_what_a_run_keeps() {
    let [first, second] = ["first", "second"].map(Namespace::new);
    let script = r#"
        nsenter --net=/run/netns/$two -- $redirector run -i lo 80:8000 2>/dev/null &
        pid=$!
        until second status --json 2>/dev/null | grep -q "supervisor.*$pid"; do sleep 0.1; done
        first load --name web -i lo 81:8001 2>/dev/null
        ! first run -i lo 80:8000 2>&1
        echo ALL
        first unload --all 2>/dev/null
        first load --name web -i lo 81:8001 >/dev/null 2>&1
        ! first unload --all --any-namespace 2>&1
        ! second unload --all 2>&1
        first status --name web | grep -o 'instance "web" is loaded'
        kill -TERM $pid
        wait $pid
        first unload --all 2>&1
    "#;
    let output = run_with_pins_of_its_own(script, &first, &second);
    let text = output.clone().success("the script");
    let (before, after) = text
        .split_once("ALL\n")
        .unwrap_or_else(|| panic!("{output:#?}"));
    assert!(before.contains("another network namespace"), "{before}");
    let lines: Vec<_> = after.lines().collect();
    assert_eq!(lines.len(), 5, "{after}");
    assert_eq!(lines[0], "unloaded instance \"web\"");
    for refused in &lines[1..3] {
        let words = "instance \"default\" is kept by `redirector run` (pid ";
        assert!(refused.contains(words), "{after}");
    }
    assert_eq!(lines[3], "instance \"web\" is loaded");
    assert_eq!(lines[4], "unloaded instance \"web\"");
}

/// A shell script with the functions `first` and `second`, which run the redirector in a namespace each.
fn run_with_pins_of_its_own(script: &str, first: &Namespace, second: &Namespace) -> Output {
    let begin = r#"
        set -eu
        mount -t bpf bpf /sys/fs/bpf
        one=$2 two=$3 redirector=$1
        first() { nsenter --net=/run/netns/$one -- $redirector "$@"; }
        second() { nsenter --net=/run/netns/$two -- $redirector "$@"; }
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{begin}{script}"))
        .arg("sh")
        .arg(binary())
        .args([first.name(), second.name()]);
    run(&mut command)
}

/// Nothing of it can be attached any more, and nobody can enter it to unload it.
#[test]
fn what_a_deleted_namespace_had_is_unloaded_from_anywhere() {
    let here = Namespace::new("here");
    let instance = Instance::unloaded(&here);
    load_in_a_namespace_that_goes(&instance, "");
    wait::until("the namespace is gone", || {
        json(&instance.run("status", "--json").stdout)["namespace"] == "gone"
    });
    let load = instance.run("load", RULES_OF_LO);
    assert_eq!(load.code, Some(1), "{load:#?}");
    let help = format!("redirector unload --name {}", instance.name());
    for word in ["is gone", &help] {
        assert!(load.stderr.contains(word), "{word}: {load:#?}");
    }
    let unload = instance.run("unload", "").success("unload");
    assert!(unload.contains(instance.name()), "{unload}");
    instance.run("load", RULES_OF_LO).success("load");
}

/// Else it would say for ever that all is well.
#[test]
fn filters_count_as_detached_once_nothing_leads_to_their_namespace() {
    let here = Namespace::new("here");
    let instance = Instance::unloaded(&here);
    load_in_a_namespace_that_goes(&instance, "REDIRECTOR_NO_TCX=1");
    let status = instance.run("status", "--json");
    assert_eq!(status.code, Some(5), "{status:#?}");
    let document = json(&status.stdout);
    assert_eq!(document["interfaces"][0]["attached"], false, "{document}");
    instance.run("unload", "--any-namespace").success("unload");
}

/// Filters cannot be asked for from another namespace. The index of their interface is another
/// interface's here, whose qdisc is nobody's business.
#[test]
fn filters_of_another_namespace_take_a_word_to_unload() {
    let here = Namespace::new("here");
    here.run("tc qdisc add dev lo clsact");
    let instance = Instance::unloaded(&here);
    let before = Footprint::of(&instance);
    load_in_a_namespace_that_goes(&instance, "REDIRECTOR_NO_TCX=1");
    let unload = instance.run("unload", "");
    assert_eq!(unload.code, Some(1), "{unload:#?}");
    assert!(unload.stderr.contains("--any-namespace"), "{unload:#?}");
    let unload = instance.run("unload", "--any-namespace");
    assert!(unload.stderr.contains("filters"), "{unload:#?}");
    unload.success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

const RULES_OF_LO: &str = "-i lo 80:8000";

fn load_in_a_namespace_that_goes(instance: &Instance, environment: &str) {
    let gone = Namespace::new("gone");
    let mut command = gone.command("env");
    command
        .args(environment.split_whitespace())
        .arg(binary())
        .args(["load", "--name", instance.name()])
        .args(RULES_OF_LO.split_whitespace());
    run(&mut command).success("load");
}
