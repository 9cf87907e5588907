//! The same at the end of a load, and for as long as `redirector run` runs.

use integration::process::Background;
use integration::wait;
use nix::sys::signal::Signal;

use super::{Host, row};

/// An instance that is unloaded at the end.
struct Loaded<'a>(&'a Host, &'static str);

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        let output = self.0.run(&format!("unload --name {}", self.1));
        assert!(
            output.code == Some(0) || std::thread::panicking(),
            "{output:#?}"
        );
    }
}

#[test]
fn load_tunes_if_asked_and_unload_reverts_nothing() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    let _loaded = Loaded(&host, "tune-load");
    let load = "load --name tune-load -i lo 80:8000";
    host.run(load).success("load");
    assert_eq!(host.values(), before);
    host.run("unload --name tune-load").success("unload");

    let rehearsal = host
        .run(&format!("{load} --tune --dry-run"))
        .success("load --dry-run");
    assert!(
        row(&rehearsal, "net.core.somaxconn").contains("1024"),
        "{rehearsal}"
    );
    assert_eq!(host.values(), before);

    let text = host.run(&format!("{load} --tune")).success("load --tune");
    assert!(
        text.starts_with("loaded instance") && row(&text, "net.core.somaxconn").contains("128"),
        "{text}"
    );
    assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    host.run("unload --name tune-load").success("unload");
    assert_eq!(host.value("net.core.somaxconn"), "1024\n");
    host.tune("revert", 0);
    assert_eq!(host.values(), before);
}

#[test]
fn a_section_in_the_file_asks_for_it() {
    let host = Host::new();
    host.lower();
    let _loaded = Loaded(&host, "tune-file");
    let config = host.config("[tuning.sysctl]\n\"net.core.somaxconn\" = 3000");
    host.run(&format!("load --name tune-file -i lo {config}"))
        .success("load");
    assert_eq!(host.value("net.core.somaxconn"), "3000\n");
    // What is loaded says where the applications are; the default file has no say here.
    let output = host.tune("apply --name tune-file --dry-run", 0);
    assert!(
        output.stderr.contains("8000/tcp") && !output.stderr.contains("4430/tcp"),
        "{output:#?}"
    );
    host.tune("revert", 0);
}

/// It is loaded all the same, and the exit code says that something is missing.
#[test]
fn what_cannot_be_tuned_leaves_it_loaded() {
    let host = Host::with_mounts("mount -o remount,ro,bind /var/lib");
    host.lower();
    let _loaded = Loaded(&host, "tune-fail");
    let output = host.run("load --name tune-fail -i lo 80:8000 --tune");
    assert_eq!(output.code, Some(5), "{output:#?}");
    assert!(
        output
            .stderr
            .contains("loaded, but not tuned: cannot make /var/lib/redirector"),
        "{output:#?}"
    );
    host.run("status --name tune-fail").success("status");
}

#[test]
fn run_tunes_at_the_start_and_when_its_file_is_read_again() {
    let host = Host::new();
    host.lower();
    let _loaded = Loaded(&host, "tune-run");
    let config = host.config("");
    let mut command = host.command(&format!("run --name tune-run -i lo {config} --tune"));
    let mut run = Background::start(&mut command, Background::directory());
    wait::until("it is tuned", || {
        run.assert_running();
        host.value("net.core.somaxconn") == "1024\n"
    });
    wait::until("it says so", || {
        run.stderr()
            .contains("tuned net.core.somaxconn from 128 to 1024")
    });
    host.config("[tuning.sysctl]\n\"net.core.somaxconn\" = 2000");
    run.signal(Signal::SIGHUP);
    wait::until("it is tuned again", || {
        run.assert_running();
        host.value("net.core.somaxconn") == "2000\n"
    });
    run.signal(Signal::SIGTERM);
    assert_eq!(run.end(), Some(0), "{}", run.stderr());
    assert_eq!(host.value("net.core.somaxconn"), "2000\n");
    host.tune("revert", 0);
    assert_eq!(host.value("net.core.somaxconn"), "128\n");
}
