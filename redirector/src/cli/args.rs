//! The command line's grammar. What the words mean together is decided in `config`.

mod change;
mod read;
mod tune;
mod watch;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::{
    config::{self, Config, Draft, Hook, Name, Resolved, RuleSpec, XdpMode},
    host::Network,
};

pub use self::change::{Limit, LimitError, Load, LoadOptions, LogLevel, Reload, Run, Unload};
pub use self::read::{Check, Flows, Interval, IntervalError, Stats, Status, Trace};
pub use self::tune::{Tune, TuneApply, TuneCheck, TuneExport, TuneRevert, TuneVerb, TuneWanted};
pub use self::watch::{Dashboard, Top};

/// Redirect ports to an unprivileged application with eBPF.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach the redirector
    #[command(after_help = change::EXAMPLES)]
    Load(Load),
    /// Detach it and remove everything load made
    Unload(Unload),
    /// Apply changed rules in place; live connections keep their target
    ///
    /// What is not named stays as it is loaded: without -i (and `interfaces` in the file) the interfaces,
    /// without --hook the hook, and without rules and a file the rules. So a plain `redirector reload`
    /// attaches again what has come off.
    #[command(after_help = change::RELOAD_EXAMPLES)]
    Reload(Reload),
    /// Load, and attach interfaces as they come, until stopped
    #[command(after_help = change::RUN_HELP)]
    Run(Run),
    /// Show what is attached where
    Status(Status),
    /// Show packet counters per rule and direction
    Stats(Stats),
    /// List tracked flows
    Flows(Flows),
    /// Print packets as they are redirected or left alone
    #[command(after_help = read::TRACE_HELP)]
    Trace(Trace),
    /// Watch rules, flows and clients in this terminal
    Top(Top),
    /// Serve a web page with live statistics, a JSON API and metrics for Prometheus
    #[command(after_help = watch::DASHBOARD_HELP)]
    Dashboard(Dashboard),
    /// Tell whether a load would work here, and whether traffic would reach the application
    Check(Check),
    /// Turn rules of iptables or nft into a configuration, or move over to it
    ///
    /// Without FILE, and with nothing coming in on standard input, the rules that this host has now. The
    /// configuration goes to standard output; what was taken of each line, widened or left, to standard error.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(Import),
    /// Print the messages of the eBPF programs as they come
    Log(Log),
    /// Fit the kernel and the applications for massive connections, and take that back
    #[command(after_help = tune::EXAMPLES)]
    Tune(Tune),
    /// Print a completion script
    Completions(Completions),
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man(Man),
    /// Print the size of each program in instructions
    #[command(hide = true)]
    ProgramReport,
}

const IMPORT_EXAMPLES: &str = "\
FILE is what iptables-save, ip6tables-save or `nft list ruleset` print, or commands of a shell.

Examples:
  redirector import -o web.toml              from the running rules
  iptables-save | redirector import
  redirector import guide.txt
  redirector import --apply                  load, try it, then remove those rules of iptables and nft";

#[derive(Debug, Args)]
pub struct Import {
    /// Where the rules are; - is standard input
    pub file: Option<PathBuf>,
    /// Write the configuration to this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace that file if it exists, as the one that a package brings
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Load the running rules, try each, and remove them from iptables and nft; all of it or nothing
    #[arg(long, conflicts_with = "file")]
    pub apply: bool,
    #[command(flatten)]
    pub instance: Instance,
    /// Print what became of each line as JSON, with the configuration
    #[arg(long = "json")]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Log {
    #[command(flatten)]
    pub instance: Instance,
}

#[derive(Debug, Args)]
pub struct Completions {
    pub shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    pub directory: PathBuf,
}

/// What to redirect, and where.
#[derive(Debug, Args)]
pub struct Source {
    /// [ADDRESS:]FROM:TO[/PROTOCOL], PROTOCOL being tcp (the default), udp or both
    #[arg(value_name = "RULE")]
    pub rules: Vec<RuleSpec>,
    /// Attach to this interface, or to those of a shell pattern (may be repeated) [default: eth0 and lo]
    #[arg(short = 'i', long = "interface", value_name = "NAME", value_hint = ValueHint::Other)]
    pub interfaces: Vec<String>,
    #[arg(short, long, value_name = "FILE", help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
    /// Where to attach [default: auto]
    #[arg(long, value_enum)]
    pub hook: Option<Hook>,
    /// With --hook xdp: who runs the program [default: auto]
    #[arg(long, value_enum, value_name = "MODE")]
    pub xdp_mode: Option<XdpMode>,
}

const CONFIG_HELP: &str =
    "Read rules and interfaces from this file [default: /etc/redirector/config.toml, if it exists]";

#[derive(Debug, Args)]
pub struct Instance {
    /// Which instance
    #[arg(long, default_value_t, value_hint = ValueHint::Other)]
    pub name: Name,
}

#[derive(Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long = "json")]
    pub enabled: bool,
}

impl Source {
    /// Whether nothing was named.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
            && self.interfaces.is_empty()
            && self.config.is_none()
            && self.hook.is_none()
            && self.xdp_mode.is_none()
    }

    /// What these options ask for, on any network.
    pub fn draft(&self) -> Result<Draft, config::Error> {
        Ok(Draft::new(&self.rules, self.config.as_deref())?
            .interfaces(&self.interfaces)
            .hook(self.hook)
            .xdp_mode(self.xdp_mode))
    }

    /// The validated configuration these options ask for on this network; what is loaded stands in for
    /// what they do not name.
    pub fn resolve(
        &self,
        network: &Network,
        loaded: Option<&Config>,
    ) -> Result<Resolved, config::Error> {
        let draft = self.draft()?;
        let draft = match loaded {
            Some(loaded) => draft.keep(loaded),
            None => draft,
        };
        draft.lower(network)
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
