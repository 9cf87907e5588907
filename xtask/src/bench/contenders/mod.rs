//! Who leads port 80 to port 8000.

pub mod instance;
mod netfilter;
mod proxies;

use anyhow::Result;

use super::{figures::Measurement, process::Background, topology::Lan};
use instance::{Instance, Load};

/// Where clients go, except for the contender that needs nobody.
pub const FRONT: u16 = 80;
/// Where the server listens.
pub const TARGET: u16 = 8000;

/// The rules of an ordinary load.
const FEW: u16 = 2;
const MANY: u16 = 10_000;

pub struct Contender {
    pub name: &'static str,
    kind: Kind,
    /// Rules, and live flows besides those of the measurement.
    rules: u16,
    flows: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Direct,
    Iptables,
    Nft,
    /// With these options of `load`.
    Redirector(&'static [&'static str]),
    Haproxy,
    NginxStream,
    Rinetd,
}

/// What the ratios are to.
pub const BASE: &str = "direct";

const TC: &[&str] = &["--hook", "tc"];

pub static ALL: [Contender; 12] = [
    contender(BASE, Kind::Direct),
    contender("iptables", Kind::Iptables),
    contender("nft", Kind::Nft),
    contender("redirector-tc", Kind::Redirector(TC)),
    contender(
        "redirector-xdp-native",
        Kind::Redirector(&["--hook", "xdp", "--xdp-mode", "native"]),
    ),
    contender(
        "redirector-xdp-generic",
        Kind::Redirector(&["--hook", "xdp", "--xdp-mode", "generic"]),
    ),
    contender("haproxy", Kind::Haproxy),
    contender("nginx-stream", Kind::NginxStream),
    contender("rinetd", Kind::Rinetd),
    scaled("redirector-tc-10k-rules", MANY, 0),
    scaled("redirector-tc-10k-flows", FEW, 10_000),
    scaled("redirector-tc-200k-flows", FEW, 200_000),
];

const fn contender(name: &'static str, kind: Kind) -> Contender {
    Contender {
        name,
        kind,
        rules: FEW,
        flows: 0,
    }
}

const fn scaled(name: &'static str, rules: u16, flows: u32) -> Contender {
    Contender {
        name,
        kind: Kind::Redirector(TC),
        rules,
        flows,
    }
}

/// A contender at work, until this is dropped.
pub enum Running {
    /// It lives in the namespace and goes with it.
    Kernel,
    Redirector(Instance),
    Proxy(Background),
}

impl Contender {
    pub fn port(&self) -> u16 {
        if self.kind == Kind::Direct {
            TARGET
        } else {
            FRONT
        }
    }

    /// Compares a size with another rather than a contender with another.
    pub fn is_scaled(&self) -> bool {
        self.rules != FEW || self.flows != 0
    }

    pub fn takes_part(&self, measurement: Measurement) -> bool {
        let is_redirector = matches!(self.kind, Kind::Redirector(_));
        match measurement {
            Measurement::Requests | Measurement::Connections => true,
            Measurement::Program => is_redirector,
            // XDP leaves a mark in front of what it rewrites, which the next run of that packet would meet.
            Measurement::TestRun => self.kind == Kind::Redirector(TC),
            // Proxies of TCP carry no datagrams.
            Measurement::Packets | Measurement::Frames => {
                let is_proxy =
                    matches!(self.kind, Kind::Haproxy | Kind::NginxStream | Kind::Rinetd);
                !is_proxy && !self.is_scaled()
            }
            Measurement::Upload | Measurement::Download | Measurement::Latency => !self.is_scaled(),
        }
    }

    pub fn start(&self, lan: &Lan, load: &Load<'_>) -> Result<Running> {
        match self.kind {
            Kind::Direct => Ok(Running::Kernel),
            Kind::Iptables => netfilter::iptables(&lan.server).map(|()| Running::Kernel),
            Kind::Nft => netfilter::nft(&lan.server).map(|()| Running::Kernel),
            Kind::Redirector(options) => {
                let instance = Instance::load(&lan.server, load, options, self.rules)?;
                instance.fill(self.flows)?;
                Ok(Running::Redirector(instance))
            }
            Kind::Haproxy => proxies::haproxy(&lan.server).map(Running::Proxy),
            Kind::NginxStream => proxies::nginx(&lan.server).map(Running::Proxy),
            Kind::Rinetd => proxies::rinetd(&lan.server).map(Running::Proxy),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ALL, BASE};

    #[test]
    fn names_are_distinct_and_the_base_is_among_them() {
        let names: BTreeSet<_> = ALL.iter().map(|each| each.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.contains(BASE));
    }
}
