//! `redirector log`

use super::args::Log;
use crate::exit::Exit;

pub fn run(_args: Log) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
