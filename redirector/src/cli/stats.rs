use std::{
    io::{self, IsTerminal},
    thread,
};

use super::{args::Stats, print};
use crate::{
    config::Name,
    exit::Exit,
    kernel::Instance,
    output::{self, stats},
    stats::Snapshot,
};

/// Cursor home and clear to the end (ECMA-48 CUP and ED).
const REDRAW: &str = "\x1b[H\x1b[2J";

pub fn run(args: Stats) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let json = args.json.enabled;
    let Some(interval) = args.watch else {
        let snapshot = snapshot(&name)?;
        if json {
            print(output::json(&stats::Document::new(name, &snapshot))?)?;
        } else {
            print(stats::text(&snapshot))?;
        }
        return Ok(Exit::Done);
    };
    let redraw = if io::stdout().is_terminal() { REDRAW } else { "" };
    loop {
        let snapshot = snapshot(&name)?;
        if json {
            print(output::json_line(&stats::Document::new(name.clone(), &snapshot))?)?;
        } else {
            print(format_args!("{redraw}{}\n", stats::text(&snapshot)))?;
        }
        thread::sleep(interval.0);
    }
}

/// Opened anew each time, so that an unload and a load in between are seen.
fn snapshot(name: &Name) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::read(&Instance::open(name)?)?)
}
