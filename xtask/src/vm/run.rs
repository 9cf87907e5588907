//! `cargo xtask vm-run`

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{kernel, machine::Machine, root};

#[derive(clap::Args)]
pub struct Options {
    /// Debian's kernel to boot, e.g. 6.12 or 6.1
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: kernel::Release,

    /// Seconds after which the machine is ended
    #[arg(long, default_value_t = 900)]
    limit: u32,

    /// A program of this host; it gets the variables that begin with REDIRECTOR_
    program: PathBuf,

    /// Passed to the program unchanged
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub fn verb(options: &Options) -> Result<()> {
    let kernel = options.kernel.install()?;
    let program = options
        .program
        .canonicalize()
        .with_context(|| format!("no program {}", options.program.display()))?;
    let machine = Machine::new(kernel, options.limit)?;
    root::archive(&machine, &program, &options.arguments)?;
    machine.boot()
}
