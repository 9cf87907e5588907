//! `redirector tune`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Instance, Json};
use crate::{config::RuleSpec, tune::Unit};

pub const EXAMPLES: &str = "\
Examples:
  redirector tune check                      what is so, what is wanted, and what the next boot brings
  redirector tune apply --dry-run            what would be changed
  redirector tune apply                      now, until the next boot
  redirector tune apply --permanent          now, and again at every boot, login and start
  redirector tune revert                     back to what was there before";

#[derive(Debug, Args)]
pub struct Tune {
    #[command(subcommand)]
    pub verb: TuneVerb,
}

#[derive(Debug, Subcommand)]
pub enum TuneVerb {
    /// Show what is so, what is wanted, and which file has the last word at the next boot
    Check(TuneCheck),
    /// Raise what is less than wanted; nothing is lowered without --exact
    Apply(TuneApply),
    /// Take back what apply changed, where it still is as apply left it
    Revert(TuneRevert),
    /// Print the files that apply --permanent would write
    Export(TuneExport),
}

#[derive(Debug, Args)]
pub struct TuneCheck {
    #[command(flatten)]
    pub wanted: TuneWanted,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct TuneApply {
    #[command(flatten)]
    pub wanted: TuneWanted,
    /// Print what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Also write files for the next boot, login and start of the service
    #[arg(long)]
    pub permanent: bool,
}

#[derive(Debug, Args)]
pub struct TuneRevert {
    /// Print what would be taken back, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct TuneExport {
    #[command(flatten)]
    pub wanted: TuneWanted,
}

/// What is to be tuned, and how.
#[derive(Debug, Args)]
pub struct TuneWanted {
    /// The rules whose applications are meant [default: what is loaded, else those of the file]
    #[arg(value_name = "RULE")]
    pub rules: Vec<RuleSpec>,
    #[arg(short, long, value_name = "FILE", help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub instance: Instance,
    /// To the letter: lower, too, what is more than wanted
    #[arg(long)]
    pub exact: bool,
    /// The service that the application belongs to [default: the one whose process listens]
    #[arg(long, value_name = "NAME")]
    pub unit: Option<Unit>,
}

const CONFIG_HELP: &str = "Read [tuning] and the rules from this file \
    [default: /etc/redirector/config.toml, if it exists]";
