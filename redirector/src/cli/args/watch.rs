//! `top` and `dashboard`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{Instance, Interval};

pub const DASHBOARD_HELP: &str = "\
The page, /api/v1/{status,stats,flows}, /metrics and /healthz need no privilege. Without a token only
this host reaches them. With --allow-remote every request wants the token: `Authorization: Bearer TOKEN`,
or the page's log-in. There is no TLS: across a network put a proxy or `ssh -L 9180:localhost:9180` before it.";

#[derive(Debug, Args)]
pub struct Top {
    #[command(flatten)]
    pub instance: Instance,
    /// Time between two looks, in SECONDS
    #[arg(short = 'n', long, value_name = "SECONDS", default_value = "1")]
    pub interval: Interval,
}

#[derive(Debug, Args)]
pub struct Dashboard {
    #[command(flatten)]
    pub instance: Instance,
    /// Address and port
    #[arg(
        short,
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:9180"
    )]
    pub listen: SocketAddr,
    /// Let other hosts in, who need the token
    #[arg(long)]
    pub allow_remote: bool,
    /// The file with the token (or the environment variable REDIRECTOR_TOKEN has it)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
