//! `cargo xtask bench`: the redirector beside what else redirects a port, in one run.
//!
//! A round takes one sample of each measurement and contender, contenders of one measurement one
//! after the other, so that whatever else the machine does meets them alike. Each sample has network
//! namespaces of its own: connections in TIME_WAIT slow down the next ones. Client, kernel and server
//! share one CPU: what a second carries is then what each packet costs, whoever of them spends it, and does
//! not depend on how the scheduler spread them this time. The rest of the machine has the other CPUs.

mod chart;
mod contenders;
mod facts;
mod figures;
mod json;
mod measurements;
mod process;
mod samples;
mod servers;
mod statistics;
mod table;
mod topology;

use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use clap::{ValueEnum as _, builder::PossibleValuesParser};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{
    build,
    setup::{self, Scope},
    sys::{self, Privilege},
    workspace,
};
use contenders::Contender;
use figures::Measurement;
use json::{Document, Extent, Missing};
use measurements::Conditions;
use samples::Samples;

#[derive(clap::Args)]
pub struct Options {
    /// Samples of everything
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,

    /// Length of a sample
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,

    /// Only these contenders; ratios need `direct`
    #[arg(long, value_name = "CONTENDER", value_parser = names())]
    only: Vec<String>,

    /// Only these measurements
    #[arg(long = "figure", value_name = "NAME", value_enum)]
    measurements: Vec<Measurement>,

    /// Write to docs/bench instead of target/bench
    #[arg(long)]
    write: bool,

    /// What the user built, for the part that runs as root
    #[arg(long, hide = true)]
    binary: Option<PathBuf>,
}

/// A load average above what the build just before leaves.
const BUSY: f64 = 1.0;

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(contenders::ALL.iter().map(|contender| contender.name))
}

pub fn verb(options: &Options) -> Result<()> {
    if let Some(binary) = &options.binary {
        return bench(options, binary);
    }
    let privilege = Privilege::obtain();
    if privilege == Privilege::None {
        bail!("network namespaces and programs need root, and sudo does not give it here");
    }
    setup::ensure(Scope::Bench)?;
    let binary = build::release()?;
    if privilege == Privilege::Root {
        return bench(options, &binary);
    }
    let mut again = Command::new(workspace::this_program()?);
    again.args(env::args_os().skip(1));
    again.arg("--binary").arg(binary);
    again.env("CARGO_MANIFEST_DIR", workspace::root().join("xtask"));
    sys::exec(privilege.apply(again))
}

fn bench(options: &Options, binary: &Path) -> Result<()> {
    let conditions = Conditions {
        binary,
        seconds: options.seconds,
    };
    let extent = Extent {
        rounds: options.rounds.into(),
        seconds: options.seconds,
        load: facts::load(),
    };
    if extent.load > BUSY {
        eprintln!(
            "warning: others are at work here (load {}), which these numbers will show",
            extent.load
        );
    }
    pin()?;
    let stop = Stop::on_signals()?;
    let mut missing = Vec::new();
    let contenders = available(options, &conditions, &stop, &mut missing)?;
    let mut samples = Samples::new(extent.rounds);
    for round in 0..extent.rounds {
        eprintln!("round {} of {}", round + 1, extent.rounds);
        for measurement in measurements(options) {
            for contender in turn(&contenders, round) {
                if !contender.takes_part(measurement) {
                    continue;
                }
                stop.check()?;
                match measurements::take(&conditions, contender, measurement) {
                    Ok(numbers) => samples.add(round, contender.name, numbers),
                    Err(error) => note(&mut missing, contender, measurement, round, &error),
                }
            }
        }
    }
    stop.check()?;
    let document = Document::new(&extent, &contenders, &samples, missing, binary);
    println!("{}", table::render(&document));
    write(options, &document)
}

/// Everything from here on, what it starts included, runs on the last CPU there is for us: interrupts of
/// devices prefer the first.
fn pin() -> Result<()> {
    let this_thread = Pid::from_raw(0);
    let usable = sched_getaffinity(this_thread).context("sched_getaffinity")?;
    let mut last = CpuSet::new();
    let is_set = |cpu: &usize| usable.is_set(*cpu).unwrap_or(false);
    let cpu = (0..CpuSet::count()).rfind(is_set).context("no CPU")?;
    last.set(cpu).context("CPU_SET")?;
    sched_setaffinity(this_thread, &last).context("sched_setaffinity")
}

/// The contenders asked for that can be set up here.
fn available(
    options: &Options,
    conditions: &Conditions<'_>,
    stop: &Stop,
    missing: &mut Vec<Missing>,
) -> Result<Vec<&'static Contender>> {
    let mut available = Vec::new();
    for contender in &contenders::ALL {
        let is_named = |name: &String| name == contender.name;
        if !options.only.is_empty() && !options.only.iter().any(is_named) {
            continue;
        }
        stop.check()?;
        match measurements::probe(conditions, contender) {
            Ok(()) => available.push(contender),
            Err(error) => {
                let reason = reason(&error);
                eprintln!("{}: not available: {reason}", contender.name);
                missing.push(Missing {
                    contender: contender.name,
                    measurement: None,
                    rounds: Vec::new(),
                    reason,
                });
            }
        }
    }
    Ok(available)
}

/// Notes that a sample could not be taken; once for all rounds that say the same.
fn note(
    missing: &mut Vec<Missing>,
    contender: &Contender,
    measurement: Measurement,
    round: usize,
    error: &anyhow::Error,
) {
    let measurement = Some(name(measurement));
    let reason = reason(error);
    let same = missing.iter_mut().find(|other| {
        (other.contender, &other.measurement, &other.reason)
            == (contender.name, &measurement, &reason)
    });
    match same {
        Some(other) => other.rounds.push(round + 1),
        None => missing.push(Missing {
            contender: contender.name,
            measurement,
            rounds: vec![round + 1],
            reason,
        }),
    }
}

/// Nobody is always first, when the machine may still be busy with something else.
fn turn<'a>(
    contenders: &'a [&'static Contender],
    round: usize,
) -> impl Iterator<Item = &'static Contender> + 'a {
    let first = round.checked_rem(contenders.len()).unwrap_or(0);
    contenders
        .iter()
        .cycle()
        .skip(first)
        .take(contenders.len())
        .copied()
}

fn measurements(options: &Options) -> Vec<Measurement> {
    if options.measurements.is_empty() {
        Measurement::value_variants().to_vec()
    } else {
        options.measurements.clone()
    }
}

fn name(measurement: Measurement) -> String {
    let value = measurement.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// An error without the directory that this workspace happens to be in.
fn reason(error: &anyhow::Error) -> String {
    let root = workspace::root().display().to_string();
    format!("{error:#}").replace(&root, ".")
}

fn write(options: &Options, document: &Document) -> Result<()> {
    let directory = if options.write {
        "docs/bench"
    } else {
        "target/bench"
    };
    let path = workspace::root().join(directory);
    fs::create_dir_all(&path).with_context(|| format!("cannot create {directory}"))?;
    give_back(&path)?;
    let put = |name: &str, text: String| {
        let file = path.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {directory}/{name}"))?;
        give_back(&file)
    };
    put("results.json", document.text()?)?;
    put("chart.svg", chart::render(document)?)?;
    eprintln!("{directory}/results.json and {directory}/chart.svg are written");
    Ok(())
}

/// What root wrote under sudo belongs to whom the workspace belongs.
fn give_back(path: &Path) -> Result<()> {
    let owner = fs::metadata(workspace::root())?;
    chown(path, Some(owner.uid()), Some(owner.gid()))
        .with_context(|| format!("cannot give {} to its owner", path.display()))
}

/// Whether to stop: an interrupt must not leave namespaces and programs behind.
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn on_signals() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&flag)).context("cannot wait for signals")?;
        }
        Ok(Self(flag))
    }

    fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}
