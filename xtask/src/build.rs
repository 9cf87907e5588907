//! `cargo xtask build`

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    setup::{self, Scope},
    sys::{self, Privilege},
    workspace,
};

#[derive(clap::Args)]
pub struct Options {
    /// Load the programs and print their size, in the object and to the verifier
    #[arg(long)]
    report: bool,
}

pub fn verb(options: &Options) -> Result<()> {
    setup::ensure(Scope::Build)?;
    let redirector = release()?;
    if options.report {
        let mut report = Command::new(redirector);
        report.arg("program-report");
        sys::exec(Privilege::obtain().apply(report))?;
    }
    Ok(())
}

/// Builds the release binary and says where it is.
pub fn release() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "redirector"]);
    sys::run("cargo build", &mut cargo)?;
    workspace::release_binary()
}
