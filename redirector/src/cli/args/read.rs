//! Verbs that read.

use std::{
    num::{NonZeroU32, NonZeroU64},
    str::FromStr,
    time::Duration,
};

use clap::Args;

use super::{Instance, Json, Source};
use crate::cli::trace_filter::{TcpFlag, TraceClient};

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

pub const TRACE_HELP: &str = "\
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

/// Time between two outputs of `--watch`; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Duration);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interval {0:?} is not a number of seconds above 0")]
pub struct IntervalError(String);

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
