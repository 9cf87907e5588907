//! cargo-fuzz, and what it builds libFuzzer with.

use std::path::PathBuf;

use anyhow::Result;

use super::apt::{self, Package};
use crate::{sys, workspace};

const VERSION: &str = "0.13.2";

const COMPILER: Package = Package {
    name: "g++",
    why: "libFuzzer is written in C++",
    service: None,
    sibling: None,
};

/// The program, installed if it is not there.
pub fn ensure() -> Result<PathBuf> {
    if ["c++", "g++", "clang++"]
        .into_iter()
        .all(|compiler| sys::which(compiler).is_none())
    {
        apt::install(&[COMPILER])?;
    }
    let root = workspace::root().join("target/cargo-fuzz");
    let program = root.join("bin/cargo-fuzz");
    if !program.is_file() {
        let mut install = workspace::cargo();
        install
            .args(["install", "cargo-fuzz", "--version", VERSION, "--locked"])
            .arg("--root")
            .arg(root);
        sys::announce("building cargo-fuzz", &mut sys::limit(1800, &install))?;
    }
    Ok(program)
}
