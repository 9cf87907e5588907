//! `redirector stats`

use super::args::Stats;
use crate::exit::Exit;

pub fn run(_args: Stats) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
