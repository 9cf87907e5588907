use std::{io, time::Duration};

use terminal_size::{Height, Width, terminal_size_of};
use tokio::{
    signal,
    time::{self, MissedTickBehavior},
};

use super::{args::Stats, place, print, print::is_dumb};
use crate::{
    config::Name,
    exit::Exit,
    kernel::Instance,
    output::{self, stats},
    stats::Sampler,
    tune,
};

pub fn run(args: Stats) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let json = args.json.enabled;
    place::tell(&Instance::open(&name)?)?;
    let mut sampler = Sampler::new(name.clone(), tune::bounds);
    let Some(interval) = args.watch else {
        let sample = sampler.sample()?;
        tell_unread(sample.unread.as_deref());
        if json {
            print(output::json(&stats::Document::new(name, &sample))?)?;
        } else {
            print(stats::text(&sample))?;
        }
        return Ok(Exit::Done);
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(watch(&name, json, interval.0, sampler))
}

/// Prints again and again until interrupted, which is its normal end.
async fn watch(
    name: &Name,
    json: bool,
    every: Duration,
    mut sampler: Sampler,
) -> anyhow::Result<Exit> {
    let mut ticks = time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut said = None;
    loop {
        tokio::select! {
            interrupted = signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            _ = ticks.tick() => {}
        }
        let sample = sampler.sample()?;
        if sample.unread != said {
            tell_unread(sample.unread.as_deref());
            said.clone_from(&sample.unread);
        }
        if json {
            let document = stats::Document::new(name.clone(), &sample);
            print(output::json_line(&document)?)?;
        } else {
            print(frame(&stats::text(&sample)))?;
        }
    }
}

fn tell_unread(why: Option<&str>) {
    if let Some(why) = why {
        eprintln!("note: backlogs cannot be read: {why}");
    }
}

/// A text that takes the place of the one before where standard output is a terminal: cut to its size,
/// because what scrolls away is not overwritten. Elsewhere, and where it is dumb, one follows the other.
fn frame(text: &str) -> String {
    /// ECMA-48: CUP, EL and ED.
    const HOME: &str = "\x1b[H";
    const CLEAR_LINE: &str = "\x1b[K";
    const CLEAR_BELOW: &str = "\x1b[J";
    let size = terminal_size_of(io::stdout()).filter(|_| !is_dumb());
    let Some((Width(width), Height(height))) = size else {
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
