//! One file per document: its JSON, and its table for people.

pub mod check;
pub mod explain;
pub mod flows;
pub mod listeners;
pub mod neighbours;
pub mod stats;
pub mod status;
pub mod tune;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::config::{Port, Protocol, Rule};

/// The first field of every JSON document. More fields may be added under the same number.
pub const SCHEMA: u32 = 1;

/// A document on several lines, as `--json` prints it.
pub fn json(document: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(document).map(|text| text + "\n")
}

/// A document on one line, as `--json --watch` prints it.
pub fn json_line(document: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(document).map(|text| text + "\n")
}

/// A rule as JSON documents have it.
#[derive(Clone, Debug, Serialize)]
pub struct RuleDocument {
    pub protocol: Protocol,
    /// null: every local address.
    pub address: Option<std::net::IpAddr>,
    pub from: Port,
    pub to: Port,
    /// null: every interface of the instance.
    pub interfaces: Option<Vec<String>>,
}

impl From<&Rule> for RuleDocument {
    fn from(rule: &Rule) -> Self {
        let names: Vec<_> = rule.interfaces.iter().map(|i| i.name.clone()).collect();
        Self {
            protocol: rule.protocol,
            address: rule.address,
            from: rule.from,
            to: rule.to,
            interfaces: (!names.is_empty()).then_some(names),
        }
    }
}

/// A table without lines, as `docker ps` prints them; `right` are the columns of numbers.
fn table(header: &[&str], right: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for index in right {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The table's text without trailing blanks.
fn render(table: &Table) -> String {
    table
        .to_string()
        .lines()
        .map(|line| line.trim().to_owned() + "\n")
        .collect()
}
