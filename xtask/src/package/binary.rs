//! The binary, linked statically and stripped: it runs on every distribution of its architecture.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{sys, workspace};

/// The platform that this program was built for.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

pub fn build() -> Result<PathBuf> {
    let target = target();
    // Not by RUSTFLAGS: build scripts and procedural macros cannot be static.
    let flags = format!("target.{target}.rustflags=[\"-Ctarget-feature=+crt-static\"]");
    let mut cargo = workspace::cargo();
    cargo
        .args(["build", "--release", "--package", "redirector"])
        .args(["--target", &target, "--config", &flags])
        // Once for all packages; cargo-deb would strip a copy of its own, with binutils.
        .args(["--config", "profile.release.strip=\"symbols\""]);
    sys::announce("cargo build", &mut cargo)?;
    let binary = workspace::release_binary()?;
    let directory = binary.ancestors().nth(2).context("a target directory")?;
    let binary = directory.join(target).join("release/redirector");
    let version = sys::ask(Command::new(&binary).arg("--version"));
    ensure!(version.is_some(), "{} does not run", binary.display());
    let mut file = Command::new("readelf");
    file.args(["--program-headers", "--section-headers", "--wide"])
        .arg(&binary);
    let headers = sys::ask(&mut file).context("readelf does not read the binary")?;
    ensure!(
        !headers.contains("INTERP"),
        "{} needs shared libraries",
        binary.display()
    );
    ensure!(
        !headers.contains(".symtab"),
        "{} is not stripped",
        binary.display()
    );
    Ok(binary)
}
