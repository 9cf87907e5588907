//! What a terminal is sent: nothing that others have chosen for it, and nothing that it cannot do.

use std::fs;

use integration::process::Background;
use integration::redirector::{Instance, binary};
use integration::terminal::Terminal;
use integration::topology::Lan;
use integration::wait;

const RULES: &str = "-i eth0 -i lo 80:8000";

/// An application names its process as it likes.
#[test]
fn a_process_cannot_speak_to_the_terminal() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let directory = Background::directory();
    let program = directory.path().join("a\x1b[2Jb\nc");
    fs::copy(binary(), &program).expect("a program");
    let mut command = lan.server.command(program.to_str().expect("a path"));
    command.args(["dashboard", "--listen", "127.0.0.1:8000"]);
    let _application = Background::start(&mut command, Background::directory());
    wait::until("a listener", || lan.server.listens_on(8000));
    let text = instance.run("stats", "").success("stats");
    assert!(text.contains("a\\u{1b}[2Jb\\nc (pid "), "{text}");
    assert!(!text.contains('\x1b'), "{text:?}");
    let document = instance.stats();
    let name = &document["listeners"][0]["process"]["name"];
    assert_eq!(name, "a\x1b[2Jb\nc", "programs get it as it is");
}

#[test]
fn a_dumb_terminal_gets_lines_alone() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let terminal = Terminal::open(&lan.server);
    let run = |verb: &str| {
        let (binary, name) = (binary(), instance.name());
        terminal.enter(&format!(
            "TERM=dumb {} {verb} --name {name}",
            binary.display()
        ));
    };
    run("top");
    terminal.until("a refusal", |screen| screen.contains("stats --watch"));
    terminal.enter("clear");
    run("stats --watch 0.2");
    terminal.until("one after the other", |screen| {
        screen.matches("IN PACKETS").count() > 1
    });
}
