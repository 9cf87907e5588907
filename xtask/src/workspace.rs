//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

/// The directory of the root `Cargo.toml`.
pub fn root() -> PathBuf {
    // The run-time variable first: a checkout may have moved since xtask was compiled.
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_owned).unwrap_or(manifest)
}

/// Holds `toolchain` (the record `redirector/build.rs` reads) and, where set-up
/// had to build one, `bin/bpf-linker`.
pub fn ebpf_toolchain() -> PathBuf {
    root().join("target/ebpf-toolchain")
}

/// Holds kernels, the lists they were found by, and a directory for each boot.
pub fn virtual_machines() -> PathBuf {
    root().join("target/vm")
}

/// xtask itself. The tests it runs may have relinked it, which the kernel marks.
pub fn this_program() -> Result<PathBuf> {
    let path = env::current_exe().context("cannot tell where xtask itself is")?;
    let text = path.to_str().context("a path that is not UTF-8")?;
    Ok(text.strip_suffix(" (deleted)").unwrap_or(text).into())
}

/// `redirector`, beside the directory this program was built into: that
/// follows `CARGO_TARGET_DIR` and cargo's configuration without reading either.
pub fn release_binary() -> Result<PathBuf> {
    let xtask = this_program()?;
    let profile = xtask.parent().context("xtask is in no directory")?;
    Ok(profile.with_file_name("release").join("redirector"))
}

/// The cargo that runs us, in the workspace, giving up early where there is no network.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .env("CARGO_HTTP_TIMEOUT", "10")
        .env("CARGO_NET_RETRY", "1");
    cargo
}
