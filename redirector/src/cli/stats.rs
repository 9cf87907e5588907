use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::{
    signal,
    time::{self, MissedTickBehavior},
};

use super::{args::Stats, place, print};
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
    place::tell(&Instance::open(&name)?)?;
    let Some(interval) = args.watch else {
        let snapshot = snapshot(&name)?;
        if json {
            print(output::json(&stats::Document::new(name, &snapshot))?)?;
        } else {
            print(stats::text(&snapshot))?;
        }
        return Ok(Exit::Done);
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(watch(&name, json, interval.0))
}

/// Prints again and again until interrupted, which is its normal end.
async fn watch(name: &Name, json: bool, every: Duration) -> anyhow::Result<Exit> {
    let redraw = if io::stdout().is_terminal() {
        REDRAW
    } else {
        ""
    };
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            interrupted = signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            _ = ticks.tick() => {}
        }
        let snapshot = snapshot(name)?;
        if json {
            print(output::json_line(&stats::Document::new(
                name.clone(),
                &snapshot,
            ))?)?;
        } else {
            print(format_args!("{redraw}{}\n", stats::text(&snapshot)))?;
        }
    }
}

/// Opened anew each time, so that an unload and a load in between are seen.
fn snapshot(name: &Name) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::read(&Instance::open(name)?)?)
}
