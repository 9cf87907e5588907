//! `cargo xtask vm-debian`: a Debian with systemd gets our package, is rebooted, upgraded and cleaned.

mod image;
mod machine;

use anyhow::{Context as _, Result, bail};

use self::machine::{End, Machine};
use super::kernel;
use crate::{
    package,
    setup::{self, Scope},
};

/// Each boot begins with the stage that the one before ended with; the last one powers off.
const BOOTS: u32 = 2;

#[derive(clap::Args)]
pub struct Options {
    /// Debian's kernel to boot: 6.1 has no TCX, 6.12 has it
    #[arg(long, default_value = kernel::DEFAULT)]
    kernel: kernel::Release,
}

/// The kernels it is tried on: Debian 12's own, and that of its backports.
pub const KERNELS: [&str; 2] = ["6.1", "6.12"];

pub fn verb(options: &Options) -> Result<()> {
    prove(options.kernel)
}

pub fn prove(release: kernel::Release) -> Result<()> {
    setup::ensure(Scope::Tests)?;
    let packages = ["0.1.0-1", "0.1.0-2"].map(package::deb);
    let [old, new] = packages;
    let kernel = release.install()?;
    let base = image::base(&kernel, release)?;
    let machine = Machine::new(kernel, &base, &[old?, new?])?;
    for _ in 0..BOOTS {
        match machine.boot()? {
            End::Reboot => {}
            End::Done => return machine.was_reached(),
            End::Failed(code) => bail!("the proof in the virtual machine ended with {code}"),
        }
    }
    None.context("the virtual machine was rebooted once too often")
}
