//! `cargo xtask package`: a Debian package, an RPM and a tarball, with one static binary.

mod binary;
mod files;
mod formats;
mod tools;

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    setup::{self, Scope},
    workspace,
};

#[derive(clap::Args)]
pub struct Options {
    /// Another version for the Debian package, as an upgrade of the one before
    #[arg(long, value_name = "VERSION")]
    deb_version: Option<String>,
}

pub fn verb(options: &Options) -> Result<()> {
    setup::ensure(Scope::Package)?;
    let binary = binary::build()?;
    files::write(&binary)?;
    let packages = [
        formats::deb(options.deb_version.as_deref())?,
        formats::rpm()?,
        formats::tarball(&binary)?,
    ];
    for package in packages {
        println!("{}", package.display());
    }
    Ok(())
}

/// Only the Debian package, for a machine that is about to get it.
pub fn deb(version: &str) -> Result<PathBuf> {
    setup::ensure(Scope::Package)?;
    let binary = binary::build()?;
    files::write(&binary)?;
    formats::deb(Some(version))
}

/// What goes into the packages, and they themselves.
fn directory() -> PathBuf {
    workspace::root().join("target/package")
}
