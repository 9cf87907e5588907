//! `cargo xtask setup`: looks at what is there, installs what is not.

mod apt;
mod compiler;
mod fuzzer;
mod linker;
mod python;
mod toolchain;
pub mod tools;

use anyhow::{Result, bail};

pub use fuzzer::ensure as fuzzer;

#[derive(clap::Args)]
pub struct Options {
    /// Also install what `cargo xtask test` needs
    #[arg(long)]
    tests: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Build,
    Tests,
    Bench,
    Package,
}

pub fn verb(options: &Options) -> Result<()> {
    let scope = if options.tests {
        Scope::Tests
    } else {
        Scope::Build
    };
    if ensure(scope)? {
        println!("set-up is complete");
    } else {
        println!("everything is in place");
    }
    Ok(())
}

/// Returns whether anything had to be done; is silent if not.
pub fn ensure(scope: Scope) -> Result<bool> {
    let mut missing = Vec::new();
    let found = toolchain::find();
    if found.is_none() {
        missing.extend(toolchain::missing());
    }
    match scope {
        Scope::Build => {}
        Scope::Tests => missing.extend(tools::missing(&tools::TESTS)),
        Scope::Package => missing.extend(tools::missing(&tools::PACKAGE)),
        Scope::Bench => missing.extend(tools::missing(&tools::BENCH)),
    }
    match apt::install(&missing) {
        Err(error) if found.is_none() => bail!("{error:#}\n{}", toolchain::OTHER_ROUTE),
        outcome => outcome?,
    }
    let toolchain = found.map_or_else(toolchain::complete, Ok)?;
    let recorded = toolchain.record()?;
    let brought = scope == Scope::Tests && python::ensure()?;
    Ok(recorded || brought || !missing.is_empty())
}
