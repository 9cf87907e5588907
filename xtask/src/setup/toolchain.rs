//! What builds the eBPF programs: a compiler and a linker, and the record of
//! both that `redirector/build.rs` reads.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    apt::Package,
    compiler::Compiler,
    linker::{self, llvm_prefix},
};
use crate::workspace;

/// Of Debian's rustc-web, and of the package below.
const DEBIAN_LLVM: u32 = 22;

const COMPILER: [Package; 2] = [
    Package {
        name: "rustc-web",
        why: "a compiler of which Debian has the source",
        service: None,
        sibling: None,
    },
    Package {
        name: "rust-web-src",
        why: "that source: BPF has no prebuilt core library",
        service: None,
        sibling: None,
    },
];

const LLVM: Package = Package {
    name: "llvm-22-dev",
    why: "to build bpf-linker with the same LLVM",
    service: None,
    sibling: None,
};

/// Printed where Debian's packages cannot be installed.
pub const OTHER_ROUTE: &str = "\
They are packages of Debian 12 with its security updates (bookworm-security in apt's sources).
Without Debian's packages, these build the eBPF programs as well:
    rustup toolchain install nightly --component rust-src
    cargo binstall bpf-linker    # or a release of it, unpacked to a directory on PATH";

pub struct Toolchain {
    compiler: Compiler,
    linker: PathBuf,
}

/// rustup's route first, then the distribution's.
pub fn find() -> Option<Toolchain> {
    Compiler::nightlies()
        .into_iter()
        .chain(Compiler::distribution())
        .find_map(|compiler| {
            let linker = linker::find(compiler.llvm)?;
            Some(Toolchain { compiler, linker })
        })
}

/// The Debian packages that [`complete`] will build upon.
pub fn missing() -> Vec<Package> {
    let mut missing = Vec::new();
    if Compiler::distribution().is_none() {
        missing.extend(COMPILER);
    }
    if linker::find(DEBIAN_LLVM).is_none() && !llvm_prefix(DEBIAN_LLVM).join("include").is_dir() {
        missing.push(LLVM);
    }
    missing
}

pub fn complete() -> Result<Toolchain> {
    let compiler = Compiler::distribution().with_context(|| {
        format!(
            "/usr/bin/rustc is older than {}; rustc-web is new enough in Debian's security updates",
            env!("CARGO_PKG_RUST_VERSION")
        )
    })?;
    let linker = match linker::find(compiler.llvm) {
        Some(linker) => linker,
        None => linker::build(compiler.llvm)?,
    };
    Ok(Toolchain { compiler, linker })
}

impl Toolchain {
    /// Returns whether the record had to be written.
    pub fn record(&self) -> Result<bool> {
        let path = workspace::ebpf_toolchain().join("toolchain");
        let record = self.render()?;
        if fs::read_to_string(&path).is_ok_and(|found| found == record) {
            return Ok(false);
        }
        eprintln!("recording the eBPF toolchain:\n{}", record.trim_end());
        fs::create_dir_all(workspace::ebpf_toolchain())
            .and_then(|()| fs::write(&path, record))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(true)
    }

    fn render(&self) -> Result<String> {
        let mut record = String::new();
        let cargo = self.compiler.cargo.as_ref();
        let tools = [
            ("RUSTC", Some(&self.compiler.rustc)),
            ("CARGO", cargo),
            ("LINKER", Some(&self.linker)),
        ];
        for (name, path) in tools {
            if let Some(path) = path {
                let path = path.to_str().context("a path that is not UTF-8")?;
                writeln!(record, "{name}={path}")?;
            }
        }
        Ok(record)
    }
}
