//! `redirector status`

use super::args::Status;
use crate::exit::Exit;

pub fn run(_args: Status) -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
