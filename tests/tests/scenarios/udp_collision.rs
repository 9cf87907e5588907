//! Datagrams of one client port to a wire port and to its target.

use integration::datapath::Datapath;
use integration::scenario::{Difference, Place, Scenario, Stage};

const DNS: &[&str] = &["53:5353/udp"];

/// A datagram of UDP has no connection that could be harmed, so no port is moved.
pub const LAST_DECIDES: &str = "netfilter moves the second flow's source port, while for the redirector \
     the client's last datagram decides which port its answers leave from";

pub const SCENARIOS: &[Scenario] = &[
    Scenario::new("in_turn", in_turn)
        .rules(DNS)
        .checks("request and answer in turn: each is answered from the port it asked")
        .places(Place::ALL)
        .differs(Difference::new(LAST_DECIDES).in_server()),
    Scenario::new("both_outstanding", both_outstanding)
        .rules(DNS)
        .checks("two requests before the first answer: both arrive and both are answered")
        .places(Place::ALL)
        .differs(
            Difference::new(LAST_DECIDES)
                .in_client()
                .in_server()
                .on_wire(),
        ),
    Scenario::new("two_clients", two_clients)
        .rules(DNS)
        .checks("different client ports never meet")
        .places(Place::ALL),
];

pub fn in_turn(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client_to_many(stage.source_port(0));
    for round in 0..2 {
        for port in [53, 5353] {
            let request = format!("to {port}, {round}");
            client.send_to(request.as_bytes(), stage.server(port));
            server.expect(request.as_bytes()).send(b"answer");
            client.expect_from(b"answer", stage.server(port));
        }
    }
}

fn both_outstanding(stage: &Stage) {
    let server = stage.udp_server(5353);
    let client = stage.udp_client_to_many(stage.source_port(0));
    for port in [53, 5353] {
        client.send_to(format!("to {port}").as_bytes(), stage.server(port));
    }
    for port in [53, 5353] {
        server
            .expect(format!("to {port}").as_bytes())
            .send(b"answer");
        let from = match stage.datapath() {
            Datapath::Nft => port,
            Datapath::Redirector => 5353,
        };
        client.expect_from(b"answer", stage.server(from));
    }
}

fn two_clients(stage: &Stage) {
    let server = stage.udp_server(5353);
    let [redirected, direct] = [(0, 53), (1, 5353)]
        .map(|(number, port)| stage.udp_client_from(stage.source_port(number), stage.server(port)));
    redirected.send(b"to 53");
    direct.send(b"to 5353");
    for (client, request) in [(&redirected, b"to 53".as_slice()), (&direct, b"to 5353")] {
        server.expect(request).send(request);
        client.expect(request);
    }
}
