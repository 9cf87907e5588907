//! `cargo xtask mutate`: would the tests notice? `mutations/` says what is broken.

mod copy;
mod mutation;
mod suite;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{
    setup::{self, Scope},
    sys::Privilege,
};
use copy::Copy;
use mutation::Mutation;
use suite::{Outcome, Suite};

#[derive(clap::Args)]
pub struct Options {
    /// Only tests that need no root; what the others would catch survives
    #[arg(long)]
    native: bool,

    /// Do not run the tests on the unbroken code first
    #[arg(long)]
    no_baseline: bool,

    /// Only mutations whose name or file contains one of these
    filter: Vec<String>,
}

struct Trial {
    mutation: Mutation,
    outcome: Outcome,
    took: Duration,
}

pub fn verb(options: &Options) -> Result<()> {
    let mut mutations = Mutation::all()?;
    mutations.retain(|mutation| {
        mutation.is_named(&options.filter) && (mutation.is_native() || !options.native)
    });
    if mutations.is_empty() {
        bail!(
            "no mutation's name or file contains any of {:?}",
            options.filter
        );
    }
    if !options.native {
        if Privilege::obtain() == Privilege::None {
            bail!("the tests that load programs need root, which sudo does not give: --native");
        }
        setup::ensure(Scope::Tests)?;
    }
    let copy = Copy::of_workspace()?;
    let suite = Suite::of(&copy, options.native)?;
    if !options.no_baseline {
        baseline(&suite)?;
    }
    let total = mutations.len();
    let mut trials = Vec::new();
    for (number, mutation) in (1..).zip(mutations) {
        eprintln!(
            "{number} of {total}: {} ({})",
            mutation.name, mutation.breaks
        );
        let trial = run(&copy, &suite, mutation)?;
        eprintln!("    {} in {} s", trial.outcome, trial.took.as_secs());
        trials.push(trial);
    }
    print(&trials);
    verdict(&trials)
}

fn baseline(suite: &Suite<'_>) -> Result<()> {
    eprintln!("the tests on the code as it is");
    let start = Instant::now();
    let outcome = suite.run_all()?;
    eprintln!("    {outcome} in {} s", start.elapsed().as_secs());
    match outcome {
        Outcome::Survived => Ok(()),
        outcome => bail!("the tests do not pass on the code as it is: {outcome}"),
    }
}

fn run(copy: &Copy, suite: &Suite<'_>, mutation: Mutation) -> Result<Trial> {
    let start = Instant::now();
    let original = copy.read(&mutation.file)?;
    copy.write(&mutation.file, &mutation.apply(&original)?)?;
    let outcome = suite.run(&mutation);
    copy.write(&mutation.file, &original)?;
    Ok(Trial {
        outcome: outcome?,
        took: start.elapsed(),
        mutation,
    })
}

fn print(trials: &[Trial]) {
    let width = |text: fn(&Mutation) -> &str| {
        let lengths = trials.iter().map(|trial| text(&trial.mutation).len());
        lengths.max().unwrap_or(0)
    };
    let (names, effects) = (width(|each| &each.name), width(|each| &each.breaks));
    println!(
        "{:names$}  {:effects$}  {:>4}  caught by",
        "mutation", "breaks", "s"
    );
    for trial in trials {
        let Mutation { name, breaks, .. } = &trial.mutation;
        let seconds = trial.took.as_secs();
        println!(
            "{name:names$}  {breaks:effects$}  {seconds:>4}  {}",
            trial.outcome
        );
    }
}

fn verdict(trials: &[Trial]) -> Result<()> {
    let count = |is: fn(&Outcome) -> bool| trials.iter().filter(|each| is(&each.outcome)).count();
    let survived = count(|outcome| matches!(outcome, Outcome::Survived));
    let unbuilt = count(|outcome| matches!(outcome, Outcome::Unbuilt(_)));
    if survived + unbuilt > 0 {
        bail!(
            "of {} mutations {survived} survived and {unbuilt} did not build",
            trials.len()
        );
    }
    Ok(())
}
