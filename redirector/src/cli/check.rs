//! `redirector check`

use super::args::Check;
use crate::exit::Exit;

pub fn run(_args: Check) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
