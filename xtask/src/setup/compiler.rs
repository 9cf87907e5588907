//! Compilers that can build `core` for the BPF target.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::sys;

/// A rustc whose library source is beside it.
pub struct Compiler {
    pub rustc: PathBuf,
    /// The cargo of the same release, where there is one.
    pub cargo: Option<PathBuf>,
    /// Major version of the LLVM whose bitcode it writes.
    pub llvm: u32,
}

impl Compiler {
    /// rustup's nightlies, newest name first.
    pub fn nightlies() -> Vec<Self> {
        let rustup = |words: &[&str]| {
            // A rustup left to itself downloads what it is asked about.
            sys::ask(
                Command::new("rustup")
                    .args(words)
                    .env("RUSTUP_AUTO_INSTALL", "0"),
            )
        };
        let Some(home) = rustup(&["show", "home"]) else {
            return Vec::new();
        };
        let toolchains = Path::new(home.trim()).join("toolchains");
        let list = rustup(&["toolchain", "list"]).unwrap_or_default();
        list.lines()
            .rev()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| name.starts_with("nightly"))
            // Past rustup's proxies, which might download too.
            .filter_map(|name| Self::in_sysroot(&toolchains.join(name)))
            .collect()
    }

    /// The distribution's; on Debian 12 that is the package rustc-web.
    pub fn distribution() -> Option<Self> {
        Self::in_sysroot(Path::new("/usr"))
    }

    fn in_sysroot(sysroot: &Path) -> Option<Self> {
        let rustc = sysroot.join("bin/rustc");
        let source = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs");
        if !rustc.is_file() || !source.is_file() {
            return None;
        }
        let version = sys::ask(Command::new(&rustc).arg("-vV"))?;
        let field = |name| version.lines().find_map(|line| line.strip_prefix(name));
        if numbers(field("release: ")?) < numbers(env!("CARGO_PKG_RUST_VERSION")) {
            return None;
        }
        let cargo = sysroot.join("bin/cargo");
        Some(Self {
            rustc,
            cargo: cargo.is_file().then_some(cargo),
            llvm: *numbers(field("LLVM version: ")?).first()?,
        })
    }
}

/// The leading numbers of a version: 1.97.0-nightly is [1, 97, 0].
fn numbers(version: &str) -> Vec<u32> {
    version
        .split(['.', '-'])
        .map_while(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.100.0-nightly") > numbers("1.95"));
        assert!(numbers("1.95.0") >= numbers("1.95"));
        assert!(numbers("1.85.0") < numbers("1.95"));
    }
}
