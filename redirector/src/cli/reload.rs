//! `redirector reload`

use super::args::Load;
use crate::exit::Exit;

pub fn run(_args: Load) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
