//! The commands of the pages for operators: each of a block `sh` is run in order, on a host that is loaded. Blocks `systemd`
//! are run by `cargo xtask vm-debian`.

use std::path::Path;
use std::{env, fs};

use integration::netns::Namespace;
use integration::process::run;
use integration::redirector::binary;
use integration::server::Listener;
use integration::topology::Lan;

/// Pages with commands; every other one has none.
const PAGES: [&str; 2] = ["operating.md", "troubleshooting.md"];

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// The lines of every block of one language.
fn commands(text: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}");
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_inside = line == start;
        } else if is_inside {
            found.push(line.to_owned());
        }
    }
    found
}

/// A state is no failure: nothing loaded, something missing, a warning; and `timeout` tells that it had to end
/// what goes on for ever.
fn is_fine(command: &str, code: i32) -> bool {
    let is_question = ["redirector status", "redirector check"]
        .iter()
        .any(|question| command.starts_with(question));
    code == 0
        || is_question && [1, 3, 5].contains(&code)
        || command.starts_with("timeout ") && code == 124
}

fn shell(host: &Namespace, command: &str) -> integration::process::Output {
    let mut directories = vec![binary().parent().expect("a directory").to_owned()];
    directories.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(directories).expect("a PATH");
    let mut shell = host.command("sh");
    run(shell.args(["-c", command]).env("PATH", path))
}

/// One instance by the default name, as an operator has it: no other test uses that name here.
#[test]
fn every_command_of_the_pages_works() {
    let lan = Lan::new();
    let _application = Listener::bind(&lan.server, 8000);
    lan.server.ip("route add default via 10.77.1.2");
    let mut count = 0;
    for page in PAGES {
        let text = fs::read_to_string(docs().join(page)).expect(page);
        let loaded = shell(
            &lan.server,
            "redirector load 80:8000 443:4430 -i eth0 -i lo",
        );
        assert_eq!(loaded.code, Some(0), "{loaded:#?}");
        for command in commands(&text, "sh") {
            let output = shell(&lan.server, &command);
            let code = output.code.unwrap_or(-1);
            assert!(is_fine(&command, code), "{page}: {command}: {output:#?}");
            count += 1;
        }
        let unloaded = shell(&lan.server, "redirector unload");
        assert_eq!(unloaded.code, Some(0), "{unloaded:#?}");
    }
    assert!(count > 15, "{count} commands were found");
}
