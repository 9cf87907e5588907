//! What is redirected and what is not.

use integration::scenario::{Peer, Place, Scenario, Stage};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("direct_beside_redirected", direct_beside_redirected)
        .checks("a connection to the target keeps the target's port, beside one to the wire port")
        .places(Place::ALL),
    Scenario::new("two_rules", two_rules)
        .rules(&["80:8000", "443:4430"])
        .checks("each port leads to its own application")
        .places(Place::ALL),
    Scenario::new("one_address", one_address)
        .rules(&["10.77.1.1:80:8000", "[fd77:1::1]:80:8000"])
        .checks("a rule for one address leaves the others alone")
        .places(&[Place::Remote, Place::OwnAddress]),
];

fn direct_beside_redirected(stage: &Stage) {
    let listener = stage.listen(8000);
    let pairs = [80, 8000].map(|port| (stage.connect(port), listener.accept()));
    for round in 0..3 {
        for (client, server) in &pairs {
            exchange(client, server, &format!("round {round}"));
        }
    }
}

fn two_rules(stage: &Stage) {
    let listeners = [8000, 4430].map(|port| stage.listen(port));
    for (port, listener) in [80, 443].into_iter().zip(&listeners) {
        let (client, server) = (stage.connect(port), listener.accept());
        exchange(&client, &server, &format!("to {port}"));
    }
    for listener in &listeners {
        listener.expect_nobody();
    }
}

fn one_address(stage: &Stage) {
    let listener = stage.listen(8000);
    let (client, server) = (stage.connect(80), listener.accept());
    exchange(&client, &server, "the address of the rule");
    stage.dial_to(stage.other(80)).refused();
    listener.expect_nobody();
}

fn exchange(client: &Peer, server: &Peer, text: &str) {
    client.deliver(server, text.as_bytes());
    server.deliver(client, text.to_uppercase().as_bytes());
}
