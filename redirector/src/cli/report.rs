//! `redirector program-report`

use crate::exit::Exit;

pub fn run() -> anyhow::Result<Exit> {
    anyhow::bail!("not written yet")
}
