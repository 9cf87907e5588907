//! Pages of the documentation, as tests read them.
//!
//! A page is tested by its fenced blocks, in order; each section of level 2 begins anew. What a block is,
//! says the word behind the fence:
//!
//! - `sh`: commands, run by `sh -eux` on the server, or on the client with `on=client`
//! - `output`: lines that the commands before have printed, in this order; `...` is any text
//! - anything with `file=PATH`: written to that file, on the same hosts
//! - `text`: no commands
//!
//! `<!-- application: PORT... -->` in a section says where the application listens, instead of on 8000 and 4430.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Page {
    /// Such as `proxies.md`.
    pub name: String,
    pub sections: Vec<Section>,
}

pub struct Section {
    pub title: String,
    /// Where the application listens.
    pub ports: Vec<u16>,
    pub blocks: Vec<Block>,
}

pub struct Block {
    /// In the page, from 1.
    pub line: usize,
    pub kind: Kind,
    pub on: Host,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Commands,
    Output,
    File(PathBuf),
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Server,
    Client,
}

/// Their commands are run one by one on a host that is loaded (`tests/tests/manual.rs`), or by systemd in a
/// virtual machine.
const OTHERS: [&str; 2] = ["operating.md", "troubleshooting.md"];

/// Every other page below `docs/`, by name.
pub fn pages() -> Vec<Page> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let entries = fs::read_dir(&directory).expect("docs/");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("a page").file_name())
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".md") && !OTHERS.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| {
            let text = fs::read_to_string(directory.join(&name)).expect("a page");
            Page {
                sections: sections(&name, &text),
                name,
            }
        })
        .collect()
}

/// # Panics
/// Where there is no such page.
pub fn page(name: &str) -> Page {
    let mut pages = pages().into_iter();
    pages
        .find(|page| page.name == name)
        .unwrap_or_else(|| panic!("no docs/{name}"))
}

impl Page {
    /// # Panics
    /// Where there is no such section.
    pub fn section(&self, title: &str) -> &Section {
        let mut sections = self.sections.iter();
        sections
            .find(|section| section.title == title)
            .unwrap_or_else(|| panic!("{}: no section {title:?}", self.name))
    }
}

/// # Panics
/// For a block that says nothing of itself, and for commands that stand in no block.
fn sections(page: &str, text: &str) -> Vec<Section> {
    let mut sections = vec![section("")];
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let place = || format!("docs/{page}:{}", index + 1);
        let current = sections.last_mut().expect("a section");
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => current.blocks.extend(open.take()),
            (Some(info), None) => open = Some(block(index + 1, info, &place())),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    sections.push(section(title));
                } else if let Some(ports) = comment(line, "application:") {
                    current.ports = ports
                        .split_whitespace()
                        .map(|port| port.parse().expect("a port"))
                        .collect();
                }
                assert!(
                    !line.starts_with("    redirector "),
                    "{}: a command that no test runs; put it into a block of `sh`",
                    place()
                );
            }
        }
    }
    assert!(open.is_none(), "docs/{page}: a block without an end");
    sections.retain(|section| section.blocks.iter().any(|block| block.kind != Kind::Text));
    sections
}

fn section(title: &str) -> Section {
    Section {
        title: title.to_owned(),
        ports: vec![8000, 4430],
        blocks: Vec::new(),
    }
}

fn block(line: usize, info: &str, place: &str) -> Block {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default();
    let mut on = Host::Server;
    let mut file = None;
    for word in words {
        match word.split_once('=') {
            Some(("file", path)) => file = Some(PathBuf::from(path)),
            Some(("on", "client")) => on = Host::Client,
            _ => panic!("{place}: what is {word:?}?"),
        }
    }
    let kind = match (file, language) {
        (Some(path), _) => Kind::File(path),
        (None, "sh") => Kind::Commands,
        (None, "output") => Kind::Output,
        (None, "text") => Kind::Text,
        (None, _) => panic!("{place}: a block is `sh`, `output`, `text`, or has a file="),
    };
    Block {
        line,
        kind,
        on,
        text: String::new(),
    }
}

fn comment<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let inside = line.strip_prefix("<!--")?.strip_suffix("-->")?;
    inside.trim().strip_prefix(key)
}

/// Whether these lines are in the output, in their order.
pub fn printed(expected: &str, output: &str) -> Result<(), String> {
    let mut lines = output.lines();
    for line in expected.lines() {
        if !lines.any(|printed| is_like(line.trim(), printed.trim())) {
            return Err(format!("{line:?} is not, or not there, in\n{output}"));
        }
    }
    Ok(())
}

/// `...` is any text.
fn is_like(expected: &str, printed: &str) -> bool {
    let mut parts = expected.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some("") => true,
        Some(part) => printed.ends_with(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_any_text() {
        for (expected, printed, like) in [
            (
                "loaded ... from ...",
                "loaded instance from the defaults",
                true,
            ),
            ("loaded ...", "unloaded x", false),
            ("... 8000", "80 to 8000", true),
            ("... 8000", "80 to 8000 and more", false),
            ("a", "ab", false),
        ] {
            assert_eq!(is_like(expected, printed), like, "{expected} {printed}");
        }
        assert!(printed("a\nb", "a\nx\nb").is_ok());
        assert!(printed("b\na", "a\nb").is_err());
    }
}
