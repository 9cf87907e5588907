//! `cargo xtask vm`: the tests that need a kernel with more modules than this one may have.

mod apt;
mod kernel;
mod machine;
mod root;
pub mod run;

pub use apt::Private;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    build,
    setup::{self, Scope},
    sys, workspace,
};

#[derive(clap::Args)]
pub struct Options {
    /// Debian's kernel to boot, e.g. 6.12 or 6.1
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: kernel::Release,

    /// The test files to run, by name [default: vm]
    #[arg(long = "test", value_name = "NAME")]
    tests: Vec<String>,

    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

impl Options {
    /// What is meant for virtual machines, or the part of it that the filter names.
    pub fn all(filter: &[String]) -> Self {
        Self {
            kernel: kernel::Release::default(),
            tests: Vec::new(),
            filter: filter.to_owned(),
        }
    }
}

pub fn verb(options: &Options) -> Result<()> {
    setup::ensure(Scope::Tests)?;
    let redirector = build::release()?;
    tests(options, &redirector)
}

/// Boots once for each test file.
pub fn tests(options: &Options, redirector: &Path) -> Result<()> {
    let xtask = workspace::this_program()?;
    let xtask = xtask.to_str().context("a path that is not UTF-8")?;
    let kernel = options.kernel.to_string();
    let runner = [xtask, "vm-run", "--kernel", &kernel];
    sys::announce(
        "the tests in a virtual machine",
        &mut cargo_test(options, &runner, redirector),
    )
}

fn cargo_test(options: &Options, runner: &[&str], redirector: &Path) -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--no-fail-fast", "--package", "integration"]);
    if options.tests.is_empty() {
        cargo.args(["--test", "vm"]);
    }
    for test in &options.tests {
        cargo.args(["--test", test]);
    }
    cargo
        // Rust's notation of a list of strings is TOML's.
        .arg("--config")
        .arg(format!("target.\"cfg(unix)\".runner={runner:?}"))
        .arg("--")
        .args(&options.filter)
        .env("REDIRECTOR_BIN", redirector);
    cargo
}
