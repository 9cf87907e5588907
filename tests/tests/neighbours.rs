//! Programs of others on the same hooks: seen, named and left alone.

use integration::footprint::Footprint;
use integration::foreign::Program;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{Lan, SERVER};

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
