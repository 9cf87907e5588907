//! The command line: one file per verb.

pub mod args;
mod changes;
mod check;
mod completions;
mod dashboard;
mod drain;
mod error;
mod flows;
mod import;
mod load;
mod log;
mod man;
mod place;
mod print;
mod reload;
mod report;
mod run;
mod stats;
mod status;
mod top;
mod trace;
mod trace_filter;
mod tune;
mod unload;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
use crate::exit::Exit;

pub use self::print::print;

pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli.command).unwrap_or_else(|error| error::report(&error)),
        Err(error) => error::report_usage(&error),
    }
    .into()
}

fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Load(args) => load::run(args),
        Command::Unload(args) => unload::run(args),
        Command::Reload(args) => reload::run(args),
        Command::Run(args) => run::run(args),
        Command::Status(args) => status::run(args),
        Command::Stats(args) => stats::run(args),
        Command::Flows(args) => flows::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Top(args) => top::run(args),
        Command::Dashboard(args) => dashboard::run(args),
        Command::Check(args) => check::run(args),
        Command::Import(args) => import::run(args),
        Command::Log(args) => log::run(args),
        Command::Tune(args) => tune::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::ProgramReport => report::run(),
    }
}
