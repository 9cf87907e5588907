//! What the reading commands say of connections and rules that are not the usual ones.

use integration::redirector::{Instance, json};
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
