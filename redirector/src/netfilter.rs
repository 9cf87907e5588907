//! The tools of netfilter: what they list, and what they are told.

use std::{
    fs,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, Output, Stdio},
};

pub const LEGACY_NAMES: [(&str, &str); 2] = [
    ("iptables", "/proc/net/ip_tables_names"),
    ("ip6tables", "/proc/net/ip6_tables_names"),
];

#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("{0} is not installed")]
    Missing(String),
    #[error("{0}")]
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackEnd {
    Nft,
    Legacy,
}

impl BackEnd {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

/// A program of a back end, such as `save` of `iptables`: by its full name, or by the plain one where that
/// is the same.
pub fn program(tool: &str, back_end: BackEnd, verb: &str) -> Result<String, Trouble> {
    let full = format!("{tool}-{}-{verb}", back_end.name());
    match run(&full, &["--version"]) {
        Err(Trouble::Missing(_)) => {
            let plain = format!("{tool}-{verb}");
            let is_nft = run(&plain, &["--version"])?.contains("nf_tables");
            if is_nft == (back_end == BackEnd::Nft) {
                Ok(plain)
            } else {
                Err(Trouble::Missing(full))
            }
        }
        Err(failed) => Err(failed),
        Ok(_) => Ok(full),
    }
}

/// Whether the kernel has tables of a legacy tool. Asking the tool itself would make them.
pub fn has_legacy(names: &str) -> io::Result<bool> {
    match fs::read_to_string(names) {
        Ok(names) => Ok(!names.trim().is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Standard output of a program that succeeded. Also looks in sbin, which an ordinary user's PATH may lack.
pub fn run(program: &str, arguments: &[&str]) -> Result<String, Trouble> {
    feed(program, arguments, "")
}

/// The same for one that reads `input`.
pub fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String, Trouble> {
    for place in ["", "/usr/sbin/", "/sbin/"] {
        let failed = |error: io::Error| Trouble::Failed(format!("{program}: {error}"));
        let mut child = match Command::new(format!("{place}{program}"))
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for us, and ends no change halfway.
            .process_group(0)
            .spawn()
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            spawned => spawned.map_err(failed)?,
        };
        // Small enough for the pipe; whoever ends without reading says why on standard error.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        return said(program, &output);
    }
    Err(Trouble::Missing(program.to_owned()))
}

fn said(program: &str, output: &Output) -> Result<String, Trouble> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let first = words
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("failed without a word");
    Err(Trouble::Failed(format!("{program}: {}", first.trim())))
}
