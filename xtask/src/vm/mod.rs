//! `cargo xtask vm`: the tests that need a kernel with more modules than this one may have.

mod apt;
pub mod debian;
mod kernel;
mod machine;
mod root;
pub mod run;

pub use apt::Private;

use std::{path::Path, process::Command};

use anyhow::{Context as _, Error, Result, bail};

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

/// Kernels of Debian, and the test files that run on each.
const MATRIX: [(&str, &[&str]); 2] = [
    // Has the devices that a test machine's own kernel may lack, and gives root every capability.
    ("6.12", &["vm", "xdp", "tune"]),
    // Has no TCX, and a verifier that asks for more.
    (
        "6.1",
        &["vm", "cli", "serve", "lifecycle", "reload", "xdp", "tune"],
    ),
];

/// Everything that is meant for virtual machines, or the part of it that the filter names.
pub fn matrix(filter: &[String], redirector: &Path) -> Result<()> {
    let mut failures = Vec::new();
    for (kernel, files) in MATRIX {
        let options = Options {
            kernel: kernel.parse().map_err(Error::msg)?,
            tests: files.iter().map(|&file| file.to_owned()).collect(),
            filter: filter.to_owned(),
        };
        if let Err(error) = tests(&options, redirector) {
            failures.push(format!("Linux {kernel}: {error}"));
        }
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}

/// The package in a Debian of its own.
pub fn packages() -> Result<()> {
    for kernel in debian::KERNELS {
        debian::prove(kernel.parse().map_err(Error::msg)?)
            .with_context(|| format!("Debian with Linux {kernel}"))?;
    }
    Ok(())
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
