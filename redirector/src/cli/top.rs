use std::io::{self, IsTerminal};

use anyhow::bail;

use super::{args::Top, place, print::is_dumb};
use crate::{exit::Exit, kernel::Instance, tui};

pub fn run(args: Top) -> anyhow::Result<Exit> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        bail!("top needs a terminal; `redirector stats --watch --json` is for programs");
    }
    if is_dumb() {
        bail!("top needs more than TERM=dumb; `redirector stats --watch` does with it");
    }
    place::tell(&Instance::open(&args.instance.name)?)?;
    tui::run(args.instance.name, args.interval.0)?;
    Ok(Exit::Done)
}
