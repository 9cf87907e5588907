//! `redirector flows`

use super::args::Flows;
use crate::exit::Exit;

pub fn run(_args: Flows) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
