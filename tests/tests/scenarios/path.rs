//! What happens on the way between client and server.

use integration::scenario::{Scenario, Stage, Topology};

pub const SCENARIOS: &[Scenario] =
    &[
        Scenario::new("upload_through_narrow_hop", upload_through_narrow_hop)
            .topology(Topology::NarrowRouter)
            .checks("the client learns the MTU of the way and sends the rest in smaller segments"),
    ];

fn upload_through_narrow_hop(stage: &Stage) {
    let (client, server) = stage.connection(80, 8000);
    let body: Vec<u8> = (0..40_000u32).map(|index| (index % 241) as u8).collect();
    client.deliver(&server, &body);
    server.send(b"received").close();
    client.expect(b"received").expect_eof();
}
