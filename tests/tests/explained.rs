//! What the reading commands say of connections and rules that are not the usual ones, and of hooks.

use integration::foreign::Program;
use integration::netns::Namespace;
use integration::process::{Output, run};
use integration::redirector::{Instance, binary, json};
use integration::server::{Connection, Listener, connect};
use integration::topology::{Lan, SERVER};
use serde_json::json;

/// One client port to the target and to the wire port: the second appears from another one.
#[test]
fn flows_tell_of_a_moved_client_port() {
    const PORT: u16 = 30_000;
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let instance = Instance::load(&lan.server, "-i eth0 80:8000");
    let [direct, wire] = [8000, 80].map(|port| SERVER.both(port)[0]);
    let mut first = Connection::open_from(&lan.client, PORT, direct, &listener);
    let second = connect(&lan.client, PORT, wire).expect("a second connection");
    let accepted = listener.accept();
    let moved = accepted.peer_addr().expect("its client").port();
    assert_ne!(moved, PORT);

    let document = json(&instance.run("flows", "--json").success("flows --json"));
    // The direct one is none of ours.
    let flows = document["flows"].as_array().expect("flows");
    assert_eq!(flows.len(), 1, "{document}");
    let client = second.local_addr().expect("an address");
    assert_eq!(
        flows[0]["client"],
        json!({ "address": client.ip(), "port": PORT, "moved_to": moved })
    );
    let text = instance.run("flows", "").success("flows");
    assert!(text.contains(&format!("{client} as {moved}")), "{text}");
    first.exchange("the direct one");
}

/// Not the defaults, which nobody asked for then.
#[test]
fn a_check_is_about_what_is_loaded() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, "-i eth0 81:8100 82:8200/udp");
    let check = |arguments: &str| {
        let output = instance.run("check", arguments);
        let document = json(&output.clone().success("check"));
        let findings = document["findings"].as_array().expect("findings").clone();
        let subjects = findings
            .iter()
            .filter(|finding| finding["id"] == "listener");
        let subjects: Vec<_> = subjects.map(|finding| finding["subject"].clone()).collect();
        (subjects, output.stderr)
    };
    let (subjects, notes) = check("--json");
    assert_eq!(subjects, ["81:8100/tcp", "82:8200/udp"]);
    assert!(notes.contains("has loaded"), "{notes}");
    let (subjects, notes) = check("-i eth0 90:9000 --json");
    assert_eq!((&subjects[..], &*notes), (&[json!("90:9000/tcp")][..], ""));
}

/// Facts and decision of each interface, for people and for programs; the same that a load says.
#[test]
fn a_check_explains_the_hook_of_each_interface() {
    const INTERFACES: &str = "-i eth0 -i br0 -i tun0 -i lo 80:8000";
    let lan = Lan::new();
    let server = &lan.server;
    server.ip("link add br0 up type bridge");
    server.ip("link set eth0 master br0");
    server.ip("tuntap add dev tun0 mode tun");
    let dispatcher = Program::xdp("xdp_dispatcher");
    dispatcher.attach_xdp(server, "br0", "xdpgeneric");
    let document = json(&check(server, &format!("--json {INTERFACES}")).success("check"));
    let explained = |name: &str| {
        let list = document["explain"].as_array().expect("explain");
        let found = list.iter().find(|each| each["interface"] == name);
        found.unwrap_or_else(|| panic!("{name} in {document}"))
    };
    for (name, fact, value) in [
        ("eth0", "driver", json!("veth")),
        ("eth0", "loopback", json!(false)),
        ("eth0", "ethernet", json!(true)),
        ("eth0", "above", json!(["br0"])),
        ("eth0", "xdp_program", json!(null)),
        ("eth0", "mtu", json!(1500)),
        ("eth0", "lro", json!(false)),
        ("br0", "below", json!(["eth0"])),
        ("tun0", "ethernet", json!(false)),
        ("lo", "loopback", json!(true)),
    ] {
        assert_eq!(explained(name)["facts"][fact], value, "{name}: {document}");
    }
    let xdp = explained("br0")["facts"]["xdp_program"].as_str();
    assert!(xdp.is_some_and(|xdp| xdp.contains("xdp_dispatcher")));
    for name in ["eth0", "br0", "tun0", "lo"] {
        let each = explained(name);
        let hook = each["hook"].as_str().expect("a hook");
        assert!(["tcx", "clsact"].contains(&hook), "{document}");
        let rule = each["rule"].as_str().expect("a rule");
        assert!(rule.starts_with("hook = auto is traffic control"), "{rule}");
    }

    let refused = check(server, &format!("--hook xdp {INTERFACES}"));
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let text = refused.stdout;
    for words in [
        "eth0: xdp, as asked",
        "br0: none: br0 has the XDP program \"xdp_dispatcher\" of libxdp",
        "tun0: none: cannot attach XDP",
        "lo: tcx, without XDP",
        "rule: loopback has traffic control only",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let instance = Instance::load(server, INTERFACES);
    let loaded = instance.run("check", "--explain --json").stdout;
    assert_eq!(json(&loaded)["explain"][0], *explained("eth0"));
}

fn check(host: &Namespace, arguments: &str) -> Output {
    let mut command = host.command(&binary().display().to_string());
    command.args(["check", "--explain"]);
    run(command.args(arguments.split_whitespace()))
}
