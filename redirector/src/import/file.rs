//! The configuration file that an import writes.

use std::fmt::{self, Display, Formatter};

use super::lower::{Imported, Source};

/// TOML that [`crate::config`] reads, with the lines it came from.
pub fn text(imported: &Imported, sources: &[Source]) -> String {
    let mut text = String::from("# Made by `redirector import`.\n");
    text += &format!("interfaces = {}\n", List(&imported.interfaces));
    for rule in &imported.rules {
        text.push('\n');
        for &(index, number) in &rule.lines {
            let source = &sources[index];
            let line = source.listing.line(number).unwrap_or_default();
            text += &format!(
                "# {}:{number}: {}\n",
                printable(&source.name),
                printable(line)
            );
        }
        text += "[[redirect]]\n";
        text += &format!("from = {}\nto = {}\n", rule.spec.from, rule.spec.to);
        text += &format!("protocol = \"{}\"\n", rule.spec.protocol);
        if let Some(address) = rule.spec.address {
            text += &format!("address = \"{address}\"\n");
        }
        if let Some(interfaces) = &rule.interfaces {
            text += &format!("interfaces = {}\n", List(interfaces));
        }
    }
    text
}

struct List<'a>(&'a [String]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().cloned().map(toml::Value::String);
        toml::Value::Array(names.collect()).fmt(f)
    }
}

/// A comment of TOML ends with its line and holds no control characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}
