//! Programs of others on the same hooks: seen, named and left alone.

use aya::programs::links::LinkOrder;
use integration::footprint::Footprint;
use integration::foreign::Program;
use integration::process::run;
use integration::redirector::{Instance, binary, json};
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};
use serde_json::Value;

const RULES: &str = "-i eth0 80:8000";

/// It is named, also by a rehearsal; without `--hook` ours go behind it.
#[test]
fn the_dispatcher_of_libxdp_is_known() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let dispatcher = Program::xdp("xdp_dispatcher");
    dispatcher.attach_xdp(&lan.server, "eth0", "xdpgeneric");
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for dry_run in ["", "--dry-run"] {
        let load = instance.run("load", &format!("--hook xdp {dry_run} {RULES}"));
        assert_eq!(load.code, Some(1), "{load:#?}");
        for word in ["\"xdp_dispatcher\" of libxdp", "xdp-loader unload eth0"] {
            assert!(load.stderr.contains(word), "{word}: {load:#?}");
        }
        assert_eq!(Footprint::of(&instance), before, "{load:#?}");
    }
    let load = instance.run("load", RULES);
    let note = "note: eth0 has the XDP program \"xdp_dispatcher\" of libxdp";
    assert!(load.stderr.contains(note), "{load:#?}");
    load.success("load beside it");
    for to in SERVER.both(80) {
        Connection::open(&lan.client, to, &listener).exchange("beside it");
    }
    assert_eq!(Footprint::of(&instance).xdp, before.xdp);
}

/// What a load would refuse, `check` does, and the way out is one.
#[test]
fn a_foreign_xdp_program_fails_a_check_and_can_be_taken_off_as_told() {
    let lan = Lan::new();
    let _listener = Listener::bind(&lan.server, 8000);
    let program = Program::xdp("somebody");
    program.attach_xdp(&lan.server, "eth0", "xdpgeneric");
    let instance = Instance::unloaded(&lan.server);
    let arguments = format!("--hook xdp {RULES}");
    let check = instance.run("check", &arguments);
    assert_eq!(check.code, Some(1), "{check:#?}");
    let told = "ip link set dev eth0 xdpgeneric off";
    for output in [&check.stdout, &instance.run("load", &arguments).stderr] {
        assert!(
            output.contains("eth0 has the XDP program \"somebody\""),
            "{output}"
        );
        assert!(output.contains(told), "{output}");
    }
    assert_eq!(instance.run("check", RULES).code, Some(0));
    // What is loaded would be changed by a reload.
    instance.run("load", RULES).success("load");
    let check = instance.run("check", &arguments);
    assert_eq!(check.code, Some(1), "{check:#?}");
    assert!(check.stdout.contains("reload: eth0 has"), "{check:#?}");
    assert_eq!(instance.run("check", "-i eth0 81:8001").code, Some(0));
    instance.run("unload", "").success("unload");
    lan.server.run(told);
    assert_eq!(instance.run("check", &arguments).code, Some(0));
    instance.run("load", &arguments).success("load");
}

/// Not as a stranger's, and it is asked to go in its own way.
#[test]
fn xdp_of_another_instance_is_told_as_such() {
    let lan = Lan::new();
    let first = Instance::unloaded(&lan.server);
    let xdp = |rules: &str| format!("--hook xdp {rules}");
    first.run("load", &xdp(RULES)).success("load");
    let second = Instance::unloaded(&lan.server);
    let name = first.name();
    let arguments = xdp("-i eth0 81:8001");
    for words in [
        format!("of instance \"{name}\" (id "),
        format!("redirector reload --name {name} --hook tc"),
    ] {
        assert_refused(&second, &arguments, &words);
    }
    first.run("reload", "--hook tc").success("reload");
    second.run("load", &arguments).success("load");
}

#[test]
fn programs_before_and_after_ours_are_listed_in_order() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let [first, last, filter, xdp] = [
        Program::tc("tcx_first"),
        Program::tc("tcx_last"),
        Program::tc("filter_bpf"),
        Program::xdp("xdp_dispatcher"),
    ];
    lan.server.run("tc qdisc add dev eth0 clsact");
    filter.filter(&lan.server, "eth0", "egress", 7);
    lan.server.run(
        "tc filter add dev eth0 ingress protocol ip prio 9 u32 match ip dport 9 0xffff flowid 1:1",
    );
    xdp.attach_xdp(&lan.server, "eth0", "xdpgeneric");
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    instance.run("load", RULES).success("load");
    let _first = first.tcx(&lan.server, "eth0", LinkOrder::first());
    let _last = last.tcx(&lan.server, "eth0", LinkOrder::last());

    let ingress = [
        ["ingress", "before", "xdp-generic", "xdp_dispatcher"],
        ["ingress", "before", "tcx", "tcx_first"],
        ["ingress", "after", "tcx", "tcx_last"],
        ["ingress", "after", "clsact", "u32"],
        ["egress", "after", "clsact", "filter_bpf"],
    ];
    assert_eq!(neighbours(&instance.status()), ingress);
    let status = instance.status();
    let dispatcher = &status["interfaces"][0]["neighbours"][0];
    assert_eq!(dispatcher["libxdp"], true, "{status}");
    assert_eq!(dispatcher["id"], before.xdp[0].program, "{status}");
    let text = instance.run("status", "");
    assert_eq!(text.stderr, "");
    for words in [
        "xdp_dispatcher of libxdp",
        "tcx_first",
        "tcx_last",
        "a u32 filter",
        "filter_bpf",
    ] {
        assert!(text.stdout.contains(words), "{words}: {text:#?}");
    }

    // Another instance is one of them, and a reload moves nobody.
    let other = Instance::load(&lan.server, "-i eth0 81:8001");
    instance.run("reload", "80:8000 82:8002").success("reload");
    let status = instance.status();
    let named = |each: &&Value| each["instance"] == other.name();
    let neighbours = status["interfaces"][0]["neighbours"].as_array();
    assert_eq!(neighbours.expect("a list").iter().filter(named).count(), 2);
    for to in SERVER.both(80) {
        Connection::open(&lan.client, to, &listener).exchange("between them");
    }
    drop(other);
    assert_eq!(self::neighbours(&instance.status()), ingress);
    drop((_first, _last));
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

#[test]
fn filters_before_and_after_ours_are_listed_in_order() {
    let lan = Lan::new();
    let [first, last] = ["filter_first", "filter_last"].map(Program::tc);
    let mut instance = Instance::unloaded(&lan.server);
    instance.set("REDIRECTOR_NO_TCX", 1);
    lan.server.run("tc qdisc add dev eth0 clsact");
    last.filter(&lan.server, "eth0", "ingress", 7);
    instance.run("load", RULES).success("load");
    first.filter(&lan.server, "eth0", "ingress", 2);
    assert_eq!(
        neighbours(&instance.status()),
        [
            ["ingress", "before", "clsact", "filter_first"],
            ["ingress", "after", "clsact", "filter_last"],
        ]
    );
}

/// The kernel's limit, of which it says "Numerical result out of range".
#[test]
fn a_full_tcx_hook_is_told() {
    let lan = Lan::new();
    let programs: Vec<_> = (0..63).map(|_| Program::tc("one_of_many")).collect();
    let mut links: Vec<_> = programs
        .iter()
        .map(|program| program.tcx(&lan.server, "eth0", LinkOrder::first()))
        .collect();
    let instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    let why = "cannot attach to eth0 ingress: its TCX hook has 63 programs";
    assert_refused(&instance, RULES, why);
    assert_eq!(Footprint::of(&instance), before);
    links.pop();
    assert_eq!(instance.run("check", RULES).code, Some(0));
    instance.run("load", RULES).success("load");
}

#[test]
fn an_ingress_qdisc_is_told_and_can_be_removed_as_told() {
    let lan = Lan::new();
    lan.server.run("tc qdisc add dev eth0 ingress");
    let mut instance = Instance::unloaded(&lan.server);
    instance.set("REDIRECTOR_NO_TCX", 1);
    let told = "tc qdisc del dev eth0 ingress";
    assert_refused(&instance, RULES, told);
    lan.server.run(told);
    assert_eq!(instance.run("check", RULES).code, Some(0));
    instance.run("load", RULES).success("load");
}

/// By the load, and before by whoever asks.
#[track_caller]
fn assert_refused(instance: &Instance, arguments: &str, why: &str) {
    for verb in ["check", "load --dry-run", "load"] {
        let (verb, option) = verb.split_once(' ').unwrap_or((verb, ""));
        let output = instance.run(verb, &format!("{option} {arguments}"));
        assert_eq!(output.code, Some(1), "{verb}: {output:#?}");
        let told = output.stdout.clone() + &output.stderr;
        assert!(told.contains(why), "{verb}: {output:#?}");
    }
}

/// The rest is there, and what is missing is said.
#[test]
fn who_may_not_list_programs_still_reads_the_status() {
    let lan = Lan::new();
    let filter = Program::tc("filter_bpf");
    lan.server.run("tc qdisc add dev eth0 clsact");
    filter.filter(&lan.server, "eth0", "ingress", 7);
    let instance = Instance::load(&lan.server, RULES);
    let status = |arguments: &[&str]| {
        let mut command = lan.server.command("setpriv");
        command
            .args(["--bounding-set=-all,+bpf", "--inh-caps=-all,+bpf"])
            .arg(binary())
            .args(["status", "--name", instance.name()]);
        run(command.args(arguments))
    };
    let text = status(&[]);
    for words in ["cannot tell who else is on eth0", "TCX", "CAP_NET_ADMIN"] {
        assert!(text.stderr.contains(words), "{words}: {text:#?}");
    }
    let text = text.success("status");
    assert!(text.contains("attached"), "{text}");
    let document = json(&status(&["--json"]).success("status --json"));
    let interface = &document["interfaces"][0];
    assert_eq!(interface["attached"], true, "{document}");
    let unread = interface["neighbours_unread"].as_array().expect("a list");
    assert_eq!(unread.len(), 1, "{document}");
    let filter = &interface["neighbours"][0];
    assert_eq!(
        (&filter["hook"], &filter["order"]),
        (&"clsact".into(), &Value::Null)
    );
}

/// Direction, order, hook, and name or else kind.
fn neighbours(status: &Value) -> Vec<[String; 4]> {
    let neighbours = status["interfaces"][0]["neighbours"].as_array();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    neighbours
        .unwrap_or_else(|| panic!("neighbours in {status}"))
        .iter()
        .map(|each| {
            let name = if each["name"].is_null() {
                &each["kind"]
            } else {
                &each["name"]
            };
            [&each["direction"], &each["order"], &each["hook"], name].map(word)
        })
        .collect()
}
