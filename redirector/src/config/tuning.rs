//! `[tuning]`: what the kernel and the applications behind the rules should be given.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::{Spanned, Value as Toml};

use super::sysctl::{Key, KeyError, Value};

/// Open files of an application, soft and hard: the guide's.
const NOFILE: u64 = 1_024_000;

/// No application can do with less.
const FEWEST_FILES: u64 = 1024;
/// The kernel takes no `fs.nr_open` above it (`sysctl_nr_open_max` in `fs/file.c`).
const MOST_FILES: u64 = 0x7fff_ffc0;

/// What is wanted; the keys of the guide always are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Every value is written as it is wanted, also where that lowers it.
    pub exact: bool,
    /// Open files of an application, soft and hard; no more than `fs.nr_open` can be made.
    pub nofile: u64,
    /// Each key once.
    pub settings: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub key: Key,
    pub value: Value,
    /// Written as it is wanted, also where that lowers it.
    pub exact: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("nofile {0} is not between {FEWEST_FILES} and {MOST_FILES}")]
    Files(i64),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error(
        "{key} has {fault}; give a number, a list of numbers, a string, or {{ exact = ... }} of these"
    )]
    Value { key: String, fault: String },
    #[error("{0} is there twice")]
    Twice(Key),
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            exact: false,
            nofile: NOFILE,
            settings: Vec::new(),
        }
    }
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    #[serde(default)]
    exact: bool,
    nofile: Option<Spanned<i64>>,
    #[serde(default)]
    sysctl: BTreeMap<Spanned<String>, Spanned<Toml>>,
}

impl Section {
    /// The fault comes with its place in the file.
    pub fn validate(self) -> Result<Tuning, (Range<usize>, Fault)> {
        let mut tuning = Tuning {
            exact: self.exact,
            ..Tuning::default()
        };
        if let Some(nofile) = self.nofile {
            let files = u64::try_from(*nofile.get_ref()).ok();
            tuning.nofile = files
                .filter(|files| (FEWEST_FILES..=MOST_FILES).contains(files))
                .ok_or_else(|| (nofile.span(), Fault::Files(*nofile.get_ref())))?;
        }
        for (name, value) in self.sysctl {
            let span = name.span();
            let value = value.into_inner();
            add(&mut tuning.settings, name.get_ref(), value).map_err(|fault| (span, fault))?;
        }
        Ok(tuning)
    }
}

/// A key that was not quoted is tables within tables.
fn add(settings: &mut Vec<Setting>, name: &str, value: Toml) -> Result<(), Fault> {
    let (exact, value) = match value {
        Toml::Table(mut table) if table.len() == 1 && table.contains_key("exact") => (
            true,
            table.remove("exact").unwrap_or(Toml::Array(Vec::new())),
        ),
        Toml::Table(table) if !table.is_empty() && !table.contains_key("exact") => {
            return table
                .into_iter()
                .try_for_each(|(part, value)| add(settings, &format!("{name}.{part}"), value));
        }
        value => (false, value),
    };
    let fault = |fault: String| Fault::Value {
        key: name.to_owned(),
        fault,
    };
    let value = text(value).map_err(fault)?;
    let value: Value = value
        .parse()
        .map_err(|error: super::sysctl::ValueError| fault(error.to_string()))?;
    let key: Key = name.parse()?;
    if settings.iter().any(|setting| setting.key == key) {
        return Err(Fault::Twice(key));
    }
    settings.push(Setting { key, value, exact });
    Ok(())
}

fn text(value: Toml) -> Result<String, String> {
    match value {
        Toml::String(text) => Ok(text),
        Toml::Integer(number) => Ok(number.to_string()),
        Toml::Array(list) => {
            let fields = list.into_iter().map(|field| match field {
                Toml::Integer(number) => Ok(number.to_string()),
                other => Err(format!("{} in its list", article(other.type_str()))),
            });
            Ok(fields.collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        other => Err(article(other.type_str())),
    }
}

fn article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Tuning, String> {
        let section: Section = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        section.validate().map_err(|(_, fault)| fault.to_string())
    }

    fn settings(text: &str) -> Vec<(String, String, bool)> {
        let settings = parsed(text).unwrap().settings.into_iter();
        settings
            .map(|each| (each.key.to_string(), each.value.to_string(), each.exact))
            .collect()
    }

    #[test]
    fn an_empty_section_is_the_guide() {
        assert_eq!(parsed("").unwrap(), Tuning::default());
        assert_eq!(Tuning::default().nofile, 1_024_000);
    }

    #[test]
    fn values_may_be_written_in_several_ways() {
        let (key, rmem) = (
            "net.ipv4.tcp_rmem".to_owned(),
            "4096 87380 16777216".to_owned(),
        );
        for text in [
            "[sysctl]\n\"net.ipv4.tcp_rmem\" = \"4096 87380\\t16777216\"",
            "[sysctl]\n\"net.ipv4.tcp_rmem\" = [4096, 87380, 16777216]",
            "[sysctl]\n\"net/ipv4/tcp_rmem\" = [4096, 87380, 16777216]",
            "[sysctl]\nnet.ipv4.tcp_rmem = [4096, 87380, 16777216]",
            "sysctl.net.ipv4.tcp_rmem = [4096, 87380, 16777216]",
        ] {
            assert_eq!(
                settings(text),
                [(key.clone(), rmem.clone(), false)],
                "{text}"
            );
        }
        let exact = settings("[sysctl]\n\"net.ipv4.tcp_fin_timeout\" = { exact = 15 }");
        assert_eq!(
            exact,
            [("net.ipv4.tcp_fin_timeout".to_owned(), "15".to_owned(), true)]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("nofile = 0", "nofile 0 is not between 1024 and 2147483584"),
            ("nofile = 1000", "1000"),
            ("nofile = -1", "-1"),
            ("nofile = 2147483585", "2147483585"),
            ("nofile = \"many\"", "invalid type"),
            ("files = 1", "unknown field `files`"),
            (
                "[sysctl]\n\"somaxconn\" = 1",
                "\"somaxconn\" is no kernel parameter",
            ),
            ("[sysctl]\n\"net.core.*\" = 1", "net.core.*"),
            ("[sysctl]\n\"../etc/passwd\" = 1", "../etc/passwd"),
            ("[sysctl]\n\"net.core.somaxconn\" = \"\"", "an empty value"),
            ("[sysctl]\n\"net.core.somaxconn\" = []", "an empty value"),
            ("[sysctl]\n\"net.core.somaxconn\" = {}", "a table"),
            (
                "[sysctl]\n\"net.core.somaxconn\" = { exact = 5, floor = 1 }",
                "net.core.somaxconn has a table",
            ),
            ("[sysctl]\n\"net.core.somaxconn\" = true", "a boolean"),
            ("[sysctl]\n\"net.core.somaxconn\" = 1.5", "a float"),
            (
                "[sysctl]\n\"net.core.somaxconn\" = [[1]]",
                "an array in its list",
            ),
            (
                "[sysctl]\n\"net.core.somaxconn\" = \"1\\n2\"",
                "not one line",
            ),
            (
                "[sysctl]\n\"net.core.somaxconn\" = 1\n\"net/core/somaxconn\" = 2",
                "there twice",
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
