//! `cargo xtask test`

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{
    build,
    setup::{self, Scope},
    sys::{self, Privilege},
    vm, workspace,
};

#[derive(clap::Args)]
pub struct Options {
    /// Also run what takes long (sets REDIRECTOR_LONG=1), and the scenarios with XDP
    #[arg(long)]
    long: bool,

    /// Run the tests in virtual machines, and no others; then the package in a Debian with systemd
    #[arg(long)]
    vm: bool,

    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

pub fn verb(options: &Options) -> Result<()> {
    if Privilege::obtain() == Privilege::None {
        bail!("the tests that load programs need root, and sudo does not give it here");
    }
    setup::ensure(Scope::Tests)?;
    let redirector = build::release()?;
    if options.vm {
        vm::matrix(&options.filter, &redirector)?;
        // It has no parts that a filter could name.
        return if options.filter.is_empty() {
            vm::packages()
        } else {
            Ok(())
        };
    }
    let mut outcomes = vec![
        sys::announce("the native tests", &mut native(options)),
        sys::announce(
            "the integration tests",
            &mut integration(options, &redirector),
        ),
        vm::matrix(&options.filter, &redirector),
    ];
    if options.long {
        outcomes.extend(XDP.map(|hook| {
            let what = format!("the scenarios at {hook}");
            sys::announce(&what, &mut scenarios(options, &redirector, hook))
        }));
    }
    let failures: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| Some(outcome.err()?.to_string()))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}

/// Everything that needs no rights.
fn native(options: &Options) -> Command {
    let mut cargo = workspace::cargo();
    cargo
        .args(["test", "--no-fail-fast", "--workspace"])
        .args(["--exclude", "integration", "--exclude", "redirector-ebpf"])
        .arg("--")
        .args(&options.filter);
    cargo
}

/// Everything that loads programs.
fn integration(options: &Options, redirector: &Path) -> Command {
    let long: &[&str] = if options.long {
        &["REDIRECTOR_LONG=1"]
    } else {
        &[]
    };
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--no-fail-fast", "--package", "integration"]);
    as_root(&mut cargo, redirector, long);
    cargo.arg("--").args(&options.filter);
    cargo
}

/// Hooks that the scenarios are played at in the long run, beside traffic control.
const XDP: [&str; 2] = ["xdp-native", "xdp-generic"];

fn scenarios(options: &Options, redirector: &Path, hook: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package", "integration", "--test", "scenarios"]);
    as_root(
        &mut cargo,
        redirector,
        &[&format!("REDIRECTOR_HOOK={hook}")],
    );
    cargo.arg("--").args(&options.filter);
    cargo
}

/// Has the tests of a `cargo test` compiled as the user and run as root, on this binary.
pub fn as_root(cargo: &mut Command, redirector: &Path, environment: &[&str]) {
    let mut runner = vec!["env".to_owned()];
    if !sys::is_root() {
        runner.insert(0, "sudo".to_owned());
    }
    runner.push(format!("REDIRECTOR_BIN={}", redirector.display()));
    runner.extend(environment.iter().map(|&each| each.to_owned()));
    // Rust's notation of a list of strings is TOML's.
    cargo
        .arg("--config")
        .arg(format!("target.\"cfg(unix)\".runner={runner:?}"));
}
