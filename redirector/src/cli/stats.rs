use std::{io, time::Duration};

use terminal_size::{Height, Width, terminal_size_of};
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
            print(stats::text(&snapshot, None) + &backlogs.text())?;
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
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut backlogs = Backlogs::new();
    let mut before: Option<Snapshot> = None;
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
            let document = match &before {
                Some(before) => document.since(&snapshot, before),
                None => document,
            };
            print(output::json_line(&backlogs.add_to(document))?)?;
        } else {
            let text = stats::text(&snapshot, before.as_ref()) + &backlogs.text();
            print(frame(&text))?;
        }
        before = Some(snapshot);
    }
}

fn rules(snapshot: &Snapshot) -> impl Iterator<Item = &Rule> {
    snapshot.rules.iter().map(|stats| &stats.rule)
}

/// A text that takes the place of the one before where standard output is a terminal: cut to its size,
/// because what scrolls away is not overwritten. Elsewhere one follows the other.
fn frame(text: &str) -> String {
    /// ECMA-48: CUP, EL and ED.
    const HOME: &str = "\x1b[H";
    const CLEAR_LINE: &str = "\x1b[K";
    const CLEAR_BELOW: &str = "\x1b[J";
    let Some((Width(width), Height(height))) = terminal_size_of(io::stdout()) else {
        return format!("{text}\n");
    };
    let [width, height] = [width, height].map(usize::from);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.len().min(height.saturating_sub(2));
    let mut frame = HOME.to_owned();
    for line in &lines[..shown] {
        frame.extend(line.chars().take(width));
        frame += CLEAR_LINE;
        frame += "\n";
    }
    if shown < lines.len() {
        frame += &format!("({} more lines){CLEAR_LINE}\n", lines.len() - shown);
    }
    frame + CLEAR_BELOW
}

/// Opened anew each time, so that an unload and a load in between are seen.
fn snapshot(name: &Name) -> anyhow::Result<Snapshot> {
    Ok(Snapshot::read(&Instance::open(name)?)?)
}
