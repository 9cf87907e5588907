//! `cargo xtask run`

use std::{
    ffi::{OsStr, OsString},
    process::Command,
};

use anyhow::Result;

use crate::{
    build,
    setup::{self, Scope},
    sys::{self, Privilege},
};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// Passed to redirector unchanged
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// The verbs that change the host, or read the pins, which usually only root may.
const PRIVILEGED: [&str; 11] = [
    "check",
    "flows",
    "load",
    "log",
    "program-report",
    "reload",
    "run",
    "stats",
    "status",
    "trace",
    "unload",
];

pub fn verb(options: &Options) -> Result<()> {
    setup::ensure(Scope::Build)?;
    let mut redirector = Command::new(build::release()?);
    redirector.args(&options.arguments);
    if needs_privilege(&options.arguments) {
        redirector = Privilege::obtain().apply(redirector);
    }
    sys::exec(redirector)
}

fn needs_privilege(arguments: &[OsString]) -> bool {
    let asks_for_help = arguments
        .iter()
        .any(|word| word == "--help" || word == "-h");
    let verb = arguments
        .iter()
        .find(|word| !word.as_encoded_bytes().starts_with(b"-"))
        .and_then(|word| OsStr::to_str(word));
    !asks_for_help && verb.is_some_and(|verb| PRIVILEGED.contains(&verb))
}

#[cfg(test)]
mod tests {
    use super::needs_privilege;

    fn needs(line: &str) -> bool {
        let words: Vec<_> = line.split_whitespace().map(Into::into).collect();
        needs_privilege(&words)
    }

    #[test]
    fn verbs_of_the_kernel_side_need_privilege() {
        assert!(needs("load 80:8000"));
        assert!(needs("--verbose unload"));
        assert!(needs("status --json"));
        assert!(!needs("completions bash"));
        assert!(!needs("load --help"));
        assert!(!needs(""));
    }
}
