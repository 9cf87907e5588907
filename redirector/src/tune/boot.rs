//! What the next boot will bring: which file has the last word on a key, a login or a service.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::unit::Unit;
use crate::config::{Key, with_slashes};
use crate::durable;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub value: String,
    pub file: PathBuf,
}

/// Every file that has a say, below a root directory.
#[derive(Debug, Default)]
pub struct Boot {
    /// In the order in which they count, the last one most; keys with slashes, or patterns of them.
    sysctl: Vec<(String, Line)>,
    /// Domain, and which of the limits.
    limits: Vec<(String, Kind, Line)>,
    root: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Soft,
    Hard,
}

const ETC: &str = "etc";
const VENDORS: [&str; 4] = ["run", "usr/local/lib", "usr/lib", "lib"];

impl Boot {
    pub fn read() -> Self {
        Self::read_below(Path::new("/"))
    }

    /// What cannot be read has no say.
    pub fn read_below(root: &Path) -> Self {
        let mut boot = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        for file in boot.sysctl_files() {
            let text = text(&file);
            boot.sysctl
                .extend(text.lines().filter_map(|line| sysctl_line(line, &file)));
        }
        let limits = root.join("etc/security/limits.conf");
        let drop_ins = files(root, &[ETC], "security/limits.d");
        for file in std::iter::once(limits).chain(drop_ins) {
            let text = text(&file);
            boot.limits
                .extend(text.lines().flat_map(|line| limits_line(line, &file)));
        }
        boot
    }

    /// `None`: the kernel's own value.
    pub fn sysctl(&self, key: &Key) -> Option<&Line> {
        self.sysctl_but(key, |_| false)
    }

    /// The same without some files. A pattern counts where no line names the key (sysctl.d(5)).
    pub fn sysctl_but(&self, key: &Key, without: impl Fn(&Path) -> bool) -> Option<&Line> {
        let lines = || {
            self.sysctl
                .iter()
                .rev()
                .filter(|(_, line)| !without(&line.file))
        };
        let named = lines().find(|(name, _)| name == key.path());
        let matching = || {
            lines().find(|(name, _)| {
                let options = glob::MatchOptions {
                    require_literal_separator: true,
                    ..glob::MatchOptions::default()
                };
                glob::Pattern::new(name)
                    .is_ok_and(|pattern| pattern.matches_with(key.path(), options))
            })
        };
        named.or_else(matching).map(|(_, line)| line)
    }

    /// Of a login; `domain` is `*`, which root is not in, or `root`.
    pub fn limit_but(
        &self,
        domain: &str,
        kind: Kind,
        without: impl Fn(&Path) -> bool,
    ) -> Option<&Line> {
        let mut lines = self.limits.iter().rev();
        let found =
            lines.find(|(each, of, line)| each == domain && *of == kind && !without(&line.file));
        found.map(|(_, _, line)| line)
    }

    /// `LimitNOFILE=` of a service.
    pub fn unit_but(&self, unit: &Unit, without: impl Fn(&Path) -> bool) -> Option<Line> {
        let vendors = VENDORS.map(|vendor| format!("{vendor}/systemd"));
        let directories: Vec<_> = std::iter::once("etc/systemd")
            .chain(vendors.iter().map(String::as_str))
            .collect();
        let fragment = directories
            .iter()
            .map(|directory| self.root.join(directory).join("system").join(unit.as_str()))
            .find(|path| path.exists());
        let mut names = vec![unit.to_string()];
        if let Some((template, _)) = unit.as_str().split_once('@') {
            names.insert(0, format!("{template}@.service"));
        }
        let drop_ins = names
            .iter()
            .flat_map(|name| files(&self.root, &directories, &format!("system/{name}.d")));
        let mut last = None;
        for file in fragment
            .into_iter()
            .chain(drop_ins)
            .filter(|file| !without(file))
        {
            for line in text(&file).lines() {
                let assigned = line.split_once('=');
                if let Some((name, value)) = assigned
                    && name.trim() == "LimitNOFILE"
                {
                    let value = value.trim().to_owned();
                    // An empty one takes back those before.
                    last = (!value.is_empty()).then(|| Line {
                        value,
                        file: file.clone(),
                    });
                }
            }
        }
        last
    }

    fn sysctl_files(&self) -> Vec<PathBuf> {
        let directories: Vec<_> = std::iter::once(ETC).chain(VENDORS).collect();
        let mut files = files(&self.root, &directories, "sysctl.d");
        // systemd reads it only by a link; the sysctl(8) of other inits reads it last.
        let own = self.root.join("etc/sysctl.conf");
        let is_linked = files
            .iter()
            .any(|file| file.canonicalize().ok() == own.canonicalize().ok());
        let is_systemd = self.root.join("run/systemd/system").exists();
        if own.exists() && !is_linked && !is_systemd {
            files.push(own);
        }
        files
    }
}

/// Whether a limit of a file is at least this.
pub fn allows(limit: &str, files: u64) -> bool {
    let is_enough = |limit: &str| match limit {
        "unlimited" | "infinity" | "-1" => true,
        number => number.parse::<u64>().is_ok_and(|number| number >= files),
    };
    limit.split(':').all(is_enough)
}

/// The `.conf` files of a directory below several others: those before hide those behind that have the
/// same name, and the names give the order.
fn files(root: &Path, directories: &[&str], below: &str) -> Vec<PathBuf> {
    let mut found: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in directories {
        let entries = fs::read_dir(root.join(directory).join(below));
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "conf")
            {
                found.entry(entry.file_name()).or_insert(path);
            }
        }
    }
    found.into_values().collect()
}

/// Comments may be in any encoding.
fn text(file: &Path) -> String {
    let bytes = durable::read(file).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn sysctl_line(line: &str, file: &Path) -> Option<(String, Line)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    // A dash: failures do not matter.
    let name = name.trim();
    let name = name.strip_prefix('-').unwrap_or(name);
    let line = Line {
        value: value.trim().to_owned(),
        file: file.to_owned(),
    };
    Some((with_slashes(name), line))
}

fn limits_line(line: &str, file: &Path) -> Vec<(String, Kind, Line)> {
    let line = line.split('#').next().unwrap_or_default();
    let words: Vec<_> = line.split_whitespace().collect();
    let [domain, kind, "nofile", value] = words[..] else {
        return Vec::new();
    };
    let kinds: &[Kind] = match kind {
        "soft" => &[Kind::Soft],
        "hard" => &[Kind::Hard],
        "-" => &[Kind::Soft, Kind::Hard],
        _ => &[],
    };
    let line = || Line {
        value: value.to_owned(),
        file: file.to_owned(),
    };
    kinds
        .iter()
        .map(|kind| (domain.to_owned(), *kind, line()))
        .collect()
}

#[cfg(test)]
#[path = "boot_tests.rs"]
mod tests;
