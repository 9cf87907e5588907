//! Taking one sample of one contender.

mod assembled;
mod bulk;
mod cpu;
mod empty;
mod frames;
mod latency;
mod program;
mod test_run;
mod web;

use std::{path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    contenders::{
        Contender, Running,
        instance::{Instance, Load, Rules},
    },
    figures::{Figure, Measurement},
    process::{Background, run},
    servers,
    topology::{Lan, SERVER},
};

/// What the kernel still has to do for namespaces that were removed is not to count.
const SETTLE: Duration = Duration::from_millis(200);

pub type Numbers = Vec<(Figure, f64)>;

/// What is the same for every sample.
pub struct Conditions<'a> {
    pub binary: &'a Path,
    pub seconds: u32,
}

/// A contender at work between a client and a server of their own.
struct Stage<'a> {
    // Dropped in this order: namespaces last.
    running: Running,
    server: Option<Background>,
    lan: Lan,
    port: u16,
    seconds: u32,
    contender: &'a Contender,
}

pub fn take(
    conditions: &Conditions<'_>,
    contender: &Contender,
    measurement: Measurement,
) -> Result<Numbers> {
    let stage = Stage::set(conditions, contender, measurement)?;
    thread::sleep(SETTLE);
    match measurement {
        Measurement::Requests => web::requests(&stage),
        Measurement::Connections => web::connections(&stage),
        Measurement::Upload => bulk::upload(&stage),
        Measurement::Download => bulk::download(&stage),
        Measurement::Latency => latency::open_loop(&stage),
        Measurement::Packets => bulk::packets(&stage),
        Measurement::Frames => frames::rate(&stage),
        Measurement::Program => program::under_load(&stage),
        Measurement::TestRun => test_run::packets(&stage),
    }
}

/// Whether a contender can be set up and carries a request.
pub fn probe(conditions: &Conditions<'_>, contender: &Contender) -> Result<()> {
    let stage = Stage::set(conditions, contender, Measurement::Requests)?;
    latency::exchange(&stage).context("carries no request")
}

impl<'a> Stage<'a> {
    fn set(
        conditions: &Conditions<'_>,
        contender: &'a Contender,
        measurement: Measurement,
    ) -> Result<Self> {
        let lan = Lan::new()?;
        let server = match measurement {
            Measurement::Upload | Measurement::Download | Measurement::Packets => {
                Some(servers::iperf(&lan)?)
            }
            Measurement::TestRun | Measurement::Frames => None,
            _ => Some(servers::web(&lan)?),
        };
        let rules = match measurement {
            Measurement::Packets | Measurement::Frames => Rules::Both,
            Measurement::TestRun => Rules::ThereAndBack,
            _ => Rules::Tcp,
        };
        let load = Load {
            binary: conditions.binary,
            rules,
        };
        let running = contender.start(&lan, &load)?;
        Ok(Self {
            running,
            server,
            lan,
            port: contender.port(),
            seconds: conditions.seconds,
            contender,
        })
    }

    /// Runs a client to its end.
    fn client(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.lan.client.command(program);
        command.args(arguments);
        run(&command, self.seconds + 20)
    }

    fn url(&self) -> String {
        format!("http://{SERVER}:{}/", self.port)
    }

    /// The server, and the proxy if there is one.
    fn programs(&self) -> Vec<u32> {
        let proxy = match &self.running {
            Running::Proxy(proxy) => Some(proxy),
            _ => None,
        };
        self.server
            .iter()
            .chain(proxy)
            .map(Background::id)
            .collect()
    }

    fn instance(&self) -> Result<&Instance> {
        match &self.running {
            Running::Redirector(instance) => Ok(instance),
            _ => anyhow::bail!("{} has no programs", self.contender.name),
        }
    }
}
