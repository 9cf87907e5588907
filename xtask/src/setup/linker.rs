//! bpf-linker, which has to read the bitcode the compiler writes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{sys, workspace};

const VERSION: &str = "0.13.0";

/// Our own or the one on PATH, if its LLVM is at least `llvm`: LLVM reads the
/// bitcode of older releases, never that of newer ones.
pub fn find(llvm: u32) -> Option<PathBuf> {
    [Some(own()), sys::which("bpf-linker")]
        .into_iter()
        .flatten()
        .find(|linker| starts(linker) && llvm_of(linker).is_some_and(|found| found >= llvm))
}

/// Where Debian's package puts the LLVM of this major version.
pub fn llvm_prefix(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}

/// Builds our own against Debian's LLVM.
pub fn build(llvm: u32) -> Result<PathBuf> {
    let mut install = workspace::cargo();
    install
        .args(["install", "bpf-linker", "--version", VERSION, "--locked"])
        .args(["--force", "--no-default-features", "--features"])
        .arg(format!("llvm-{llvm}"))
        .arg("--root")
        .arg(workspace::ebpf_toolchain())
        .env("LLVM_PREFIX", llvm_prefix(llvm))
        // Its release profile asks for all of it, which takes a third longer.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    sys::announce("building bpf-linker", &mut sys::limit(1800, &install))?;
    find(llvm).context("the bpf-linker just built does not work")
}

fn own() -> PathBuf {
    workspace::ebpf_toolchain().join("bin/bpf-linker")
}

fn starts(linker: &Path) -> bool {
    sys::ask(Command::new(linker).arg("--version")).is_some()
}

/// `--version` does not tell, but the file does: it names libLLVM.so.22.1 if
/// linked to it, and carries the producer LLVM22.1.8 of its bitcode if static.
fn llvm_of(linker: &Path) -> Option<u32> {
    let pattern = r"LLVM(\.so\.|-|_)?[0-9]+\.";
    let names = sys::ask(Command::new("grep").args(["-aoE", pattern]).arg(linker))?;
    names
        .lines()
        .filter_map(|name| {
            name.trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .ok()
        })
        .max()
}
