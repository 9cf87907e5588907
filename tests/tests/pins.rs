//! Pins and the file system they stand in, when they are not as a load would have them.

use std::fs;

use aya::maps::{Array, MapData};
use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::run;
use integration::redirector::{Instance, binary};

/// A map of another size, as another version would have pinned it.
#[test]
fn pins_of_another_version_are_named_and_can_be_removed() {
    let host = Namespace::new("lone");
    let _mounts = Instance::load(&host, "-i lo 80:8000");
    let instance = Instance::unloaded(&host);
    let before = Footprint::of(&instance);
    let maps = instance.pins().join("maps");
    fs::create_dir_all(&maps).expect("a directory in bpffs");
    let foreign = Array::<MapData, u64>::create(1, 0).expect("a map");
    foreign.pin(maps.join("SETTINGS")).expect("a pin");
    let pinned = Footprint::of(&instance);

    for verb in ["load -i lo 81:8001", "reload -i lo 81:8001", "status"] {
        let (verb, arguments) = verb.split_once(' ').unwrap_or((verb, ""));
        let output = instance.run(verb, arguments);
        assert_eq!(output.code, Some(1), "{verb}: {output:#?}");
        for word in [instance.name(), "another version", "redirector unload"] {
            assert!(output.stderr.contains(word), "{word}: {output:#?}");
        }
        assert_eq!(Footprint::of(&instance), pinned, "{verb}");
    }
    instance.run("unload", "").success("unload");
    assert_eq!(Footprint::of(&instance), before);
}

/// `ip netns exec` has a mount namespace of its own: what is mounted there goes when it ends, and
/// the links with it.
#[test]
fn a_bpffs_that_would_vanish_is_refused() {
    let host = Namespace::new("lone");
    let instance = Instance::unloaded(&host);
    let before = Footprint::of(&instance);
    let script = "while umount -l /sys/fs/bpf 2>/dev/null; do :; done; exec \"$0\" load --name \"$1\" -i lo 80:8000";
    let mut command = host.command("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .arg(binary())
        .arg(instance.name());
    let output = run(&mut command);
    assert_eq!(output.code, Some(1), "{output:#?}");
    for word in ["/sys/fs/bpf", "nsenter --net"] {
        assert!(output.stderr.contains(word), "{word}: {output:#?}");
    }
    assert_eq!(Footprint::of(&instance), before);
}
