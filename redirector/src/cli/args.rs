//! The command line's grammar. What the words mean together is decided in `config`.

mod tune;
mod watch;

use std::{
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::trace_filter::{TcpFlag, TraceClient};
use crate::{
    config::{self, Config, Draft, Hook, Name, Resolved, RuleSpec, XdpMode},
    host::Network,
    kernel::{self, PinMode},
};

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
    #[command(after_help = EXAMPLES)]
    Load(Load),
    /// Detach it and remove everything load made
    Unload(Unload),
    /// Apply changed rules in place; live connections keep their target
    ///
    /// What is not named stays as it is loaded: without -i (and `interfaces` in the file) the interfaces,
    /// without --hook the hook, and without rules and a file the rules. So a plain `redirector reload`
    /// attaches again what has come off.
    #[command(after_help = RELOAD_EXAMPLES)]
    Reload(Reload),
    /// Load, and attach interfaces as they come, until stopped
    #[command(after_help = RUN_HELP)]
    Run(Run),
    /// Show what is attached where
    Status(Status),
    /// Show packet counters per rule and direction
    Stats(Stats),
    /// List tracked flows
    Flows(Flows),
    /// Print packets as they are redirected or left alone
    #[command(after_help = TRACE_HELP)]
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

const EXAMPLES: &str = "\
Examples:
  redirector load                            80 to 8000 and 443 to 4430, on eth0 and lo
  redirector load 80:8000 443:4430/both -i eth0 -i lo
  redirector load 203.0.113.5:80:8000 '[2001:db8::1]:80:8000'
  redirector load -c web.toml --name web";

const RELOAD_EXAMPLES: &str = "\
Examples:
  redirector reload 80:9000                  other rules, the same interfaces
  redirector reload -i eth0 -i eth1          other interfaces, the same rules
  redirector reload -c web.toml --name web";

const RUN_HELP: &str = "\
Interfaces may be named before they exist, or by shell pattern:
  redirector run 80:8000 -i lo -i 'eth*'

SIGHUP reads the file again, SIGTERM and SIGINT unload. What is loaded already is taken over, and
stays if run is killed. With systemd: Type=notify-reload.";

const IMPORT_EXAMPLES: &str = "\
FILE is what iptables-save, ip6tables-save or `nft list ruleset` print, or commands of a shell.

Examples:
  redirector import -o web.toml              from the running rules
  iptables-save | redirector import
  redirector import guide.txt
  redirector import --apply                  load, try it, then remove those rules of iptables and nft";

#[derive(Debug, Args)]
pub struct Load {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub instance: Instance,
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub options: LoadOptions,
}

/// What is fixed at the load.
#[derive(Clone, Copy, Debug, Args)]
pub struct LoadOptions {
    /// Which messages of the eBPF programs are kept for `redirector log`
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t)]
    pub log_level: LogLevel,
    /// Who may read what is loaded: 0644 everybody, 0640 the group, 0600 root alone
    #[arg(long, value_name = "MODE", default_value_t)]
    pub pin_mode: PinMode,
    /// Then tune as `redirector tune apply` does; a [tuning] in the file asks for the same
    #[arg(long)]
    pub tune: bool,
}

#[derive(Debug, Args)]
pub struct Reload {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub instance: Instance,
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub source: Source,
    #[command(flatten)]
    pub instance: Instance,
    /// When stopped, first redirect nothing new, and wait until live connections have ended, TIME at most
    #[arg(long, value_name = "TIME")]
    pub drain: Option<Limit>,
    #[command(flatten)]
    pub options: LoadOptions,
}

#[derive(Debug, Args)]
pub struct Unload {
    #[command(flatten)]
    pub instance: Instance,
    /// Every instance of this network namespace
    #[arg(long, conflicts_with = "name")]
    pub all: bool,

    /// Also what was loaded in another network namespace
    #[arg(long)]
    pub any_namespace: bool,

    /// First redirect nothing new, and wait until live connections have ended, TIME at most, e.g. 30s
    #[arg(long, value_name = "TIME", conflicts_with = "any_namespace")]
    pub drain: Option<Limit>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Stats {
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub json: Json,
    /// Again every SECONDS (1 if not given), until interrupted
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<Interval>,
}

#[derive(Debug, Args)]
pub struct Flows {
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub json: Json,
}

const TRACE_HELP: &str = "\
It takes root, because it switches the programs' reports on. They are off again when it ends, two
seconds later if it was killed. Filters are applied first, then --sample.

Examples:
  redirector trace --flags SYN,RST
  redirector trace --client 203.0.113.9 --count 100
  redirector trace --rule 80:8000/tcp --sample 1000 --json";

#[derive(Debug, Args)]
pub struct Trace {
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub json: Json,
    /// One of N packets, on average
    #[arg(long, value_name = "N", default_value = "1")]
    pub sample: NonZeroU32,
    /// End after N packets
    #[arg(short, long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// Only packets of this rule, as `redirector status` shows it
    #[arg(long, value_name = "RULE")]
    pub rule: Option<String>,
    /// Only packets of this client, ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT
    #[arg(long, value_name = "CLIENT")]
    pub client: Option<TraceClient>,
    /// Only TCP packets with one of these flags: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR
    #[arg(long, value_name = "FLAGS", value_delimiter = ',')]
    pub flags: Vec<TcpFlag>,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub source: Source,
    /// Also tell which hook each interface gets, and why
    #[arg(long)]
    pub explain: bool,

    /// Without rules, interfaces and file: what this instance has loaded, if it is
    #[command(flatten)]
    pub instance: Instance,
    #[command(flatten)]
    pub json: Json,
}

#[derive(Debug, Args)]
pub struct Import {
    /// Where the rules are; - is standard input
    pub file: Option<PathBuf>,
    /// Write the configuration to this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
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
    #[arg(short = 'i', long = "interface", value_name = "NAME")]
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
    #[arg(long, default_value_t)]
    pub name: Name,
}

#[derive(Debug, Args)]
pub struct Json {
    /// Print JSON
    #[arg(long = "json")]
    pub enabled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Off,
    Error,
    #[default]
    Warn,
    Info,
    Debug,
}

/// Time between two outputs of `--watch`; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// The longest time that a drain may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Duration);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time such as 30s, 2m or 1h")]
pub struct LimitError(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interval {0:?} is not a number of seconds above 0")]
pub struct IntervalError(String);

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

impl From<LogLevel> for log::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::Off,
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

impl From<LoadOptions> for kernel::LoadOptions {
    fn from(options: LoadOptions) -> Self {
        Self {
            log_level: options.log_level.into(),
            pins: options.pin_mode,
        }
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(time: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(time)
            .map(Self)
            .map_err(|_| LimitError(time.to_owned()))
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(seconds: &str) -> Result<Self, Self::Err> {
        seconds
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|interval| !interval.is_zero())
            .map(Self)
            .ok_or_else(|| IntervalError(seconds.to_owned()))
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
