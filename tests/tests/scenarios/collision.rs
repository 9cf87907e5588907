//! One client port for a wire port and its target at once: to the server's kernel, one tuple.

use std::io::ErrorKind;
use std::time::Duration;

use integration::datapath::Datapath;
use integration::scenario::{Difference, Scenario, Stage};

pub const SCENARIOS: &[Scenario] =
    &[
        Scenario::new("direct_after_redirected", direct_after_redirected)
            .checks(
                "a second connection of the same port, to the target, leaves the first unharmed",
            )
            .differs(
                Difference::new(
                    "netfilter moves the second one's source port, the redirector cannot",
                )
                .in_client()
                .in_server()
                .on_wire(),
            ),
    ];

fn direct_after_redirected(stage: &Stage) {
    let listener = stage.listen(8000);
    let port = stage.source_port(0);
    let first = stage.dial(80).from(port).connect();
    let server = listener.accept();
    let second = stage
        .dial(8000)
        .from(port)
        .patience(Duration::from_millis(200))
        .outcome();
    match (stage.datapath(), second) {
        (Datapath::Nft, Ok(second)) => {
            let moved = listener.accept();
            assert_ne!(moved.remote().port(), port);
            second.deliver(&moved, b"the second");
        }
        (Datapath::Redirector, Err(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        (datapath, outcome) => panic!("{datapath:?}: {:?}", outcome.err()),
    }
    first.deliver(&server, b"the first");
    server.deliver(&first, b"still lives");
}
