//! The same at the end of a load, and for as long as `redirector run` runs.

use integration::process::Background;
use integration::wait;
use nix::sys::signal::Signal;

use super::{Host, key, row};

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

/// Such a file has something to say to `tune`, and nothing to `load`.
#[test]
fn a_file_that_has_nothing_but_the_section() {
    let host = Host::new();
    host.lower();
    let before = host.values();
    let section = "[tuning.sysctl]\n\"net.core.somaxconn\" = 3000\n";
    host.write_etc("only.toml", section);
    host.write_etc("redirector/config.toml", section);
    let _loaded = Loaded(&host, "tune-only");
    // For want of others the default rules.
    for arguments in ["--name tune-only -c /etc/only.toml", "--name tune-only"] {
        let notes = host.tune(&format!("apply --dry-run {arguments}"), 0).stderr;
        assert!(
            notes.contains("8000/tcp") && notes.contains("4430/tcp"),
            "{notes}"
        );
        let document = host.check(arguments);
        assert_eq!(key(&document, "net.core.somaxconn")["wanted"], "3000");
        let exported = host.tune(&format!("export {arguments}"), 0).stdout;
        assert!(exported.contains("net.core.somaxconn = 3000"), "{exported}");
    }
    for load in ["load -i lo", "load -i lo -c /etc/only.toml"] {
        let output = host.run(&format!("{load} --name tune-only"));
        assert_eq!(output.code, Some(2), "{output:#?}");
        assert!(output.stderr.contains("no [[redirect]]"), "{output:#?}");
    }
    assert_eq!(host.values(), before);
    // What is loaded, unless the file has rules.
    host.run("load --name tune-only -i lo 90:9000")
        .success("load");
    let notes = host
        .tune("apply --name tune-only -c /etc/only.toml", 0)
        .stderr;
    assert!(
        notes.contains("9000/tcp") && !notes.contains("8000/tcp"),
        "{notes}"
    );
    assert_eq!(host.value("net.core.somaxconn"), "3000\n");
    let config = host.config("");
    let notes = host
        .tune(&format!("apply --dry-run --name tune-only {config}"), 0)
        .stderr;
    assert!(
        notes.contains("8000/tcp") && !notes.contains("9000/tcp"),
        "{notes}"
    );
    host.tune("revert", 0);
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
