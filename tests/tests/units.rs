//! The units of the packages: how exposed systemd finds them, and whether it understands them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::process::run;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../redirector/package/systemd")
}

/// Of `systemd-analyze security`, from 0 to 10.
fn exposure(unit: &str) -> f64 {
    let path = directory().join(unit);
    let output = run(Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager"])
        .arg(&path));
    let table = output.success(unit);
    let word = table
        .lines()
        .find_map(|line| {
            line.split_once("Overall exposure level for")?
                .1
                .split_once(": ")
        })
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("an exposure level: {table}"));
    word.parse()
        .unwrap_or_else(|error| panic!("{word}: {error}"))
}

#[test]
fn the_units_are_shut_off_from_what_they_do_not_need() {
    for (unit, most) in [
        ("redirector.service", 2.5),
        ("redirector-dashboard.service", 1.5),
        ("redirector-tune.service", 3.5),
    ] {
        let exposure = exposure(unit);
        assert!(exposure <= most, "{unit}: {exposure}, above {most}");
    }
}

#[test]
fn the_loader_has_two_capabilities_and_the_dashboard_none() {
    for (unit, line) in [
        (
            "redirector.service",
            "CapabilityBoundingSet=CAP_BPF CAP_NET_ADMIN",
        ),
        ("redirector-dashboard.service", "CapabilityBoundingSet="),
        ("redirector-dashboard.service", "DynamicUser=yes"),
    ] {
        let text = fs::read_to_string(directory().join(unit)).expect(unit);
        assert!(text.lines().any(|found| found == line), "{unit}: {line}");
    }
}

/// Unknown keys and values that cannot be are told by the same program.
#[test]
fn systemd_understands_them() {
    for entry in fs::read_dir(directory()).expect("units") {
        let unit = entry.expect("a unit").path();
        let text = fs::read_to_string(&unit).expect("a unit");
        // What they run is not installed here.
        let scratch = tempfile::tempdir().expect("a directory");
        let copy = scratch.path().join(unit.file_name().expect("a name"));
        fs::write(&copy, text.replace("/usr/bin/redirector", "/bin/true")).expect("a copy");
        let mut analyze = Command::new("systemd-analyze");
        let output = run(analyze
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&copy));
        assert_eq!(output.code, Some(0), "{}: {output:#?}", unit.display());
        let name = unit
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(!output.stderr.contains(&name), "{output:#?}");
    }
}
