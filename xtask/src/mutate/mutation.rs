//! One thing broken. In the files of `mutations/` a table is a file and a name, the text of `find`
//! is in that file exactly once, and `tests` names integration tests that are tried first, each the file and
//! perhaps what the names of its tests contain.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// As TOML; a name is used once in a file.
const MUTATIONS: [&str; 8] = [
    include_str!("mutations/wire.toml"),
    include_str!("mutations/flows.toml"),
    include_str!("mutations/moved.toml"),
    include_str!("mutations/owners.toml"),
    include_str!("mutations/claims.toml"),
    include_str!("mutations/errors.toml"),
    include_str!("mutations/recent.toml"),
    include_str!("mutations/kernel.toml"),
];

pub struct Mutation {
    pub name: String,
    /// From the workspace's root.
    pub file: String,
    pub breaks: String,
    /// Integration tests that are tried before the others.
    pub tests: Vec<String>,
    find: String,
    replace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    breaks: String,
    find: String,
    replace: String,
    #[serde(default)]
    tests: Vec<String>,
}

/// By file, then by name.
type Entries = BTreeMap<String, BTreeMap<String, Entry>>;

impl Mutation {
    pub fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for text in MUTATIONS {
            let entries: Entries = toml::from_str(text).context("mutations/*.toml")?;
            for (file, entries) in entries {
                all.extend(entries.into_iter().map(|(name, entry)| Self {
                    name,
                    file: file.clone(),
                    breaks: entry.breaks,
                    tests: entry.tests,
                    find: entry.find,
                    replace: entry.replace,
                }));
            }
        }
        Ok(all)
    }

    pub fn is_named(&self, filter: &[String]) -> bool {
        let is_in = |word: &String| self.name.contains(word) || self.file.contains(word);
        filter.is_empty() || filter.iter().any(is_in)
    }

    /// Whether the native tests can see it.
    pub fn is_native(&self) -> bool {
        self.file.starts_with("redirector-common/")
    }

    /// The file's content, broken. An error where the text is not found exactly once: the code has
    /// changed, and the mutation has to follow.
    pub fn apply(&self, content: &str) -> Result<String> {
        match content.matches(&self.find).count() {
            1 => Ok(content.replacen(&self.find, &self.replace, 1)),
            count => bail!("{}: {} has its text {count} times", self.name, self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Mutation;
    use crate::workspace;

    #[test]
    fn every_mutation_changes_the_code_as_it_is() {
        let mutations = Mutation::all().expect("mutations");
        assert!(mutations.len() >= 20);
        for mutation in mutations {
            let path = workspace::root().join(&mutation.file);
            let content = fs::read_to_string(path).expect("the file");
            let broken = mutation.apply(&content).expect("its text, once");
            assert_ne!(broken, content, "{}", mutation.name);
        }
    }
}
