//! The score-card in `docs/compliance.md` names tests that exist.

use std::{fs, path::Path};

const STATUSES: [&str; 5] = ["yes", "partly", "no", "does not apply", "not tested"];
const COLUMNS: usize = 5;

#[test]
fn every_named_test_exists() {
    let tests: Vec<_> = rows().into_iter().flat_map(|row| row.tests).collect();
    assert!(!tests.is_empty());
    for test in tests {
        let (file, name) = test
            .split_once("::")
            .unwrap_or_else(|| panic!("{test}: file::name"));
        let path = match file.strip_prefix("common/") {
            Some(file) => root().join("redirector-common/tests").join(file),
            None => root().join("tests/tests").join(file),
        };
        let source = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{test}: {}: {error}", path.display()));
        // A scenario is known by its name, which need not be that of a function.
        let is_scenario =
            file.starts_with("scenarios/") && source.contains(&format!("\"{name}\","));
        assert!(
            is_scenario || source.contains(&format!("fn {name}(")),
            "{test}: no such test"
        );
    }
}

#[test]
fn what_is_claimed_is_tested() {
    for Row {
        line,
        status,
        tests,
    } in rows()
    {
        assert!(STATUSES.contains(&status.as_str()), "a status? {line}");
        match status.as_str() {
            "yes" | "partly" => assert!(!tests.is_empty(), "without a test: {line}"),
            "not tested" => assert!(tests.is_empty(), "with a test: {line}"),
            _ => {}
        }
    }
}

struct Row {
    line: String,
    status: String,
    tests: Vec<String>,
}

fn rows() -> Vec<Row> {
    let card = fs::read_to_string(root().join("docs/compliance.md")).expect("the score-card");
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), COLUMNS, "{line}");
        Row {
            line: line.to_owned(),
            status: cells[2].to_owned(),
            tests: cells[4]
                .split_whitespace()
                .map(|test| test.trim_matches('`').to_owned())
                .collect(),
        }
    };
    card.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("| |") && !line.starts_with("|-"))
        .map(row)
        .collect()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
