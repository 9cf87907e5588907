//! What the tools print becomes a configuration that loads.

use std::fs;
use std::path::Path;

use integration::process::{Background, Output, run};
use integration::redirector::{Instance, binary, json};
use integration::topology::Lan;
use serde_json::Value;

use super::{GUIDE, Tool, plan};

/// As `load 80:8000 443:4430 -i eth0 -i lo` plans it.
fn guides_plan(lan: &Lan) -> Vec<String> {
    let instance = Instance::unloaded(&lan.server);
    let plan = instance
        .run("load", "--dry-run 80:8000 443:4430 -i eth0 -i lo")
        .success("load");
    plan.lines().map(str::to_owned).collect()
}

fn import(lan: &Lan, file: &Path) -> Output {
    let program = binary().display().to_string();
    run(lan.server.command(&program).arg("import").arg(file))
}

fn outcomes(document: &Value) -> Vec<(String, String)> {
    let sources = document["sources"].as_array().expect("sources");
    let lines = sources
        .iter()
        .flat_map(|source| source["lines"].as_array().expect("lines"));
    let text = |line: &Value, key: &str| line[key].as_str().expect(key).to_owned();
    lines
        .map(|line| (text(line, "text"), text(line, "outcome")))
        .filter(|(_, outcome)| outcome != "other")
        .collect()
}

#[test]
fn the_guides_lines_are_taken() {
    let lan = Lan::new();
    let directory = Background::directory();
    let file = directory.path().join("guide");
    fs::write(&file, GUIDE).expect("a file");
    let output = import(&lan, &file);
    assert!(
        output.stderr.contains("not 127.0.0.1 only"),
        "{}",
        output.stderr
    );
    let config = output.success("import");
    assert_eq!(plan(&lan.server, &config), guides_plan(&lan));
}

/// By file, through a pipe, and as the rules that run.
#[test]
fn every_tools_listing_is_taken() {
    for tool in Tool::ALL {
        let lan = Lan::new();
        tool.follow_guide(&lan.server);
        let lists: &[&str] = match tool {
            Tool::IptablesNft => &[
                "iptables-nft-save",
                "iptables-nft-save -c",
                "nft list ruleset",
            ],
            Tool::IptablesLegacy => &["iptables-legacy-save", "iptables-legacy-save -c"],
            Tool::Nft => &["nft list ruleset", "nft -a list ruleset"],
        };
        let directory = Background::directory();
        for list in lists {
            let file = directory.path().join("list");
            fs::write(&file, lan.server.run(list)).expect("a file");
            let config = import(&lan, &file).success(list);
            assert_eq!(plan(&lan.server, &config), guides_plan(&lan), "{list}");
        }
        let program = binary().display().to_string();
        let pipe = format!("{} | {program} import", lists[0]);
        let config = run(lan.server.command("sh").args(["-c", &pipe])).success(&pipe);
        assert_eq!(plan(&lan.server, &config), guides_plan(&lan), "{pipe}");
        let config = run(lan.server.command(&program).arg("import")).success("import");
        assert_eq!(plan(&lan.server, &config), guides_plan(&lan), "{tool:?}");
    }
}

#[test]
fn every_line_is_explained() {
    let lan = Lan::new();
    Tool::IptablesNft.follow_guide(&lan.server);
    let program = binary().display().to_string();
    let output = run(lan.server.command(&program).args(["import", "--json"]));
    let document = json(&output.success("import --json"));
    assert_eq!(document["schema"], 1);
    let redirect = |rest: &str, port: u16| format!("[0:0] -A {rest} -j REDIRECT --to-ports {port}");
    let limited = redirect("PREROUTING -s 192.0.2.0/24 -p tcp -m tcp --dport 2222", 22);
    let expected = [
        (limited.clone(), "left"),
        (
            redirect("PREROUTING -i eth0 -p tcp -m tcp --dport 80", 8000),
            "widened",
        ),
        (
            redirect("PREROUTING -i eth0 -p tcp -m tcp --dport 443", 4430),
            "widened",
        ),
        (limited, "left"),
        (
            redirect("OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 443", 4430),
            "widened",
        ),
        (
            redirect("OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 80", 8000),
            "widened",
        ),
    ];
    assert_eq!(
        outcomes(&document),
        expected.map(|(text, outcome)| (text, outcome.to_owned()))
    );
    let config = document["config"].as_str().expect("a configuration");
    assert_eq!(plan(&lan.server, config), guides_plan(&lan));
}

#[test]
fn a_file_is_written_once() {
    let lan = Lan::new();
    let directory = Background::directory();
    let (guide, config) = (
        directory.path().join("guide"),
        directory.path().join("config.toml"),
    );
    fs::write(&guide, GUIDE).expect("a file");
    let program = binary().display().to_string();
    let import = || {
        let mut command = lan.server.command(&program);
        run(command.arg("import").arg(&guide).arg("-o").arg(&config))
    };
    assert_eq!(import().success("import -o"), "");
    let written = fs::read_to_string(&config).expect("the configuration");
    assert_eq!(plan(&lan.server, &written), guides_plan(&lan));
    let again = import();
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("exists"), "{again:?}");
    assert_eq!(again.stderr.lines().count(), 1, "{again:?}");
    fs::write(&config, "of the package").expect("a file");
    let mut command = lan.server.command(&program);
    let force = run(command
        .args(["import", "--force"])
        .arg(&guide)
        .arg("-o")
        .arg(&config));
    assert_eq!(force.success("import --force"), "");
    let replaced = fs::read_to_string(&config).expect("the configuration");
    assert_eq!(replaced, written);
    let left = fs::read_dir(directory.path()).expect("the directory");
    assert_eq!(left.count(), 2);
}

#[test]
fn nothing_to_take_fails() {
    let lan = Lan::new();
    let program = binary().display().to_string();
    let output = run(lan.server.command(&program).arg("import"));
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    let output = run(lan
        .server
        .command(&program)
        .args(["import", "/nonexistent"]));
    assert_eq!(output.code, Some(2), "{output:?}");
}

#[test]
fn json_of_nft_is_told_from_a_listing() {
    let lan = Lan::new();
    Tool::Nft.follow_guide(&lan.server);
    let directory = Background::directory();
    let file = directory.path().join("list");
    fs::write(&file, lan.server.run("nft -j list ruleset")).expect("a file");
    let output = import(&lan, &file);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("without -j"), "{output:?}");
}
