//! Pins and the file system they stand in, when they are not as a load would have them.

use std::fs;

use aya::maps::{Array, MapData};
use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::process::run;
use integration::redirector::{Instance, binary};
use integration::scene::Machine;
use integration::user::{NOBODY, User};

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

/// On a bpffs that everybody may write to, as mount(8) makes it, any user can be there first.
#[test]
fn a_directory_of_a_stranger_is_refused_and_ways_out_are_told() {
    let host = Namespace::new("lone");
    let machine = Machine::new(&host);
    let copy = User::new();
    let stranger = format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups");
    let user = format!(
        "{stranger} --inh-caps=+bpf,+net_admin --ambient-caps=+bpf,+net_admin {}",
        copy.binary().display()
    );
    let sh = |line: &str| machine.sh(line).success(line);
    let assert_refused = |words: &[&str]| {
        for verb in ["check", "load", "load --dry-run"] {
            let output = machine.sh(&format!("redirector {verb} -i lo 80:8000"));
            assert_eq!(output.code, Some(1), "{verb}: {output:#?}");
            for word in words {
                assert!(output.stdout.contains(word), "{word}: {output:#?}");
            }
        }
    };
    sh(&format!("{stranger} mkdir /sys/fs/bpf/redirector"));
    let owner = "/sys/fs/bpf/redirector belongs to user 65534";
    assert_refused(&[owner, "loaded; remove it"]);
    sh("rmdir /sys/fs/bpf/redirector");
    sh("redirector load -i lo 80:8000");
    sh("redirector unload");

    sh(&format!("{user} load --name theirs -i lo 81:8001"));
    let unload = "redirector unload --all --any-namespace";
    assert_refused(&[owner, "(theirs; ", unload]);
    // Who was given the whole of it loads there alone.
    sh("chown 65534 /sys/fs/bpf");
    assert_refused(&[owner]);
    sh(&format!("{user} reload --name theirs -i lo 82:8002"));
    sh(unload);
    sh("chown root /sys/fs/bpf");
    sh("redirector load -i lo 80:8000");
    sh("redirector unload");

    sh("chmod 0700 /sys/fs/bpf");
    let closed = machine.sh(&format!("{user} check -i lo 80:8000"));
    assert_eq!(closed.code, Some(1), "{closed:#?}");
    let why = "cannot write to /sys/fs/bpf: Permission denied";
    assert!(closed.stdout.contains(why), "{closed:#?}");
}
