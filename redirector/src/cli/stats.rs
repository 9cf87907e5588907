use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::{
    signal,
    time::{self, MissedTickBehavior},
};

use super::{args::Stats, backlogs::Backlogs, place, print};
use crate::{
    config::{Name, Rule},
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
        let mut backlogs = Backlogs::new();
        backlogs.look(&name, rules(&snapshot))?;
        if json {
            let document = stats::Document::new(name, &snapshot);
            print(output::json(&backlogs.add_to(document))?)?;
        } else {
            print(stats::text(&snapshot) + &backlogs.text())?;
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
    let mut backlogs = Backlogs::new();
    loop {
        tokio::select! {
            interrupted = signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            _ = ticks.tick() => {}
        }
        let snapshot = snapshot(name)?;
        backlogs.look(name, rules(&snapshot))?;
        if json {
            let document = stats::Document::new(name.clone(), &snapshot);
            print(output::json_line(&backlogs.add_to(document))?)?;
        } else {
            let text = stats::text(&snapshot) + &backlogs.text();
            print(format_args!("{redraw}{text}\n"))?;
        }
    }
}

fn rules(snapshot: &Snapshot) -> impl Iterator<Item = &Rule> {
    snapshot.rules.iter().map(|(rule, _)| rule)
}

/// Opened anew each time, so that an unload and a load in between are seen.
fn snapshot(name: &Name) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::read(&Instance::open(name)?)?)
}
