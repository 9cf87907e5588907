//! `redirector unload`

use super::args::Unload;
use crate::exit::Exit;

pub fn run(_args: Unload) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
