//! Verbs that change what is loaded.

use std::{str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use super::{Instance, Source};
use crate::kernel::{self, PinMode};

pub const EXAMPLES: &str = "\
Examples:
  redirector load                            80 to 8000 and 443 to 4430, on eth0 and lo
  redirector load 80:8000 443:4430/both -i eth0 -i lo
  redirector load 203.0.113.5:80:8000 '[2001:db8::1]:80:8000'
  redirector load -c web.toml --name web";

pub const RELOAD_EXAMPLES: &str = "\
Examples:
  redirector reload 80:9000                  other rules, the same interfaces
  redirector reload -i eth0 -i eth1          other interfaces, the same rules
  redirector reload -c web.toml --name web";

pub const RUN_HELP: &str = "\
Interfaces may be named before they exist, or by shell pattern:
  redirector run 80:8000 -i lo -i 'eth*'

SIGHUP reads the file again, SIGTERM and SIGINT unload. What is loaded already is taken over, and
stays if run is killed. With systemd: Type=notify-reload.";

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

impl From<LoadOptions> for kernel::LoadOptions {
    fn from(options: LoadOptions) -> Self {
        Self {
            log_level: options.log_level.into(),
            pins: options.pin_mode,
        }
    }
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

/// The longest time that a drain may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Duration);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time such as 30s, 2m or 1h")]
pub struct LimitError(String);

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(time: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(time)
            .map(Self)
            .map_err(|_| LimitError(time.to_owned()))
    }
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
