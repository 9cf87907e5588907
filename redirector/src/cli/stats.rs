use std::{
    io::{self, IsTerminal},
    sync::Once,
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
    stats::{
        Snapshot,
        listeners::{Bounds, Listening},
    },
    tune,
};

/// Cursor home and clear to the end (ECMA-48 CUP and ED).
const REDRAW: &str = "\x1b[H\x1b[2J";

pub fn run(args: Stats) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let json = args.json.enabled;
    place::tell(&Instance::open(&name)?)?;
    let bounds = tune::bounds();
    let Some(interval) = args.watch else {
        let snapshot = snapshot(&name)?;
        let listening = listening(&name, &snapshot, &bounds, None)?;
        if json {
            let document = stats::Document::new(name, &snapshot);
            print(output::json(&with(document, listening.as_ref(), &bounds))?)?;
        } else {
            print(text(&snapshot, listening.as_ref(), &bounds))?;
        }
        return Ok(Exit::Done);
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(watch(&name, json, interval.0, &bounds))
}

/// Prints again and again until interrupted, which is its normal end.
async fn watch(name: &Name, json: bool, every: Duration, bounds: &Bounds) -> anyhow::Result<Exit> {
    let redraw = if io::stdout().is_terminal() {
        REDRAW
    } else {
        ""
    };
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = None;
    loop {
        tokio::select! {
            interrupted = signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            _ = ticks.tick() => {}
        }
        let snapshot = snapshot(name)?;
        let listening = listening(name, &snapshot, bounds, before.as_ref())?;
        if json {
            let document = stats::Document::new(name.clone(), &snapshot);
            print(output::json_line(&with(
                document,
                listening.as_ref(),
                bounds,
            ))?)?;
        } else {
            let text = text(&snapshot, listening.as_ref(), bounds);
            print(format_args!("{redraw}{text}\n"))?;
        }
        before = listening;
    }
}

fn text(snapshot: &Snapshot, listening: Option<&Listening>, bounds: &Bounds) -> String {
    let mut text = stats::text(snapshot);
    if let Some(listening) = listening {
        text += "\n";
        text += &output::listeners::text(listening);
        for hint in listening.hints(bounds) {
            text += &format!("{hint}\n");
        }
    }
    text
}

fn with(
    document: stats::Document,
    listening: Option<&Listening>,
    bounds: &Bounds,
) -> stats::Document {
    match listening {
        Some(listening) => document.listening(output::listeners::Document::new(listening, bounds)),
        None => document,
    }
}

/// `None` for an instance of another network namespace, and where the kernel does not tell, which is said
/// once.
fn listening(
    name: &Name,
    snapshot: &Snapshot,
    bounds: &Bounds,
    before: Option<&Listening>,
) -> anyhow::Result<Option<Listening>> {
    static SAID: Once = Once::new();
    if !Instance::open(name)?.is_here() {
        return Ok(None);
    }
    let rules = snapshot.rules.iter().map(|(rule, _)| rule);
    match Listening::read(rules, bounds, before) {
        Ok(listening) => Ok(Some(listening)),
        Err(error) => {
            SAID.call_once(|| eprintln!("note: backlogs cannot be read: {error}"));
            Ok(None)
        }
    }
}

/// Opened anew each time, so that an unload and a load in between are seen.
fn snapshot(name: &Name) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::read(&Instance::open(name)?)?)
}
