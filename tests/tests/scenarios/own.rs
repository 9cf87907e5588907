//! Rules that a scenario loads and reloads by itself, beside those it was given.

use std::fmt::Write;

use integration::datapath::{Datapath, nft};
use integration::netns::Namespace;
use integration::redirector::Instance;
use integration::scenario::Stage;

/// What a scenario is given that has rules of its own: nobody asks that port.
pub const IDLE: &[&str] = &["7:7000"];

/// Ports of TCP, from and to.
pub type Rules<'a> = &'a [(u16, u16)];

pub enum Own {
    Redirector(Instance),
    Nft(Namespace),
}

impl Own {
    pub fn load(stage: &Stage, rules: Rules<'_>) -> Self {
        match stage.datapath() {
            Datapath::Redirector => {
                let arguments = arguments(rules);
                Self::Redirector(Instance::load(stage.server_host(), &arguments))
            }
            Datapath::Nft => Self::netfilter(stage, rules),
        }
    }

    /// Under either datapath.
    pub fn netfilter(stage: &Stage, rules: Rules<'_>) -> Self {
        let own = Self::Nft(stage.server_host().clone());
        own.reload(rules);
        own
    }

    pub fn reload(&self, rules: Rules<'_>) {
        match self {
            Self::Redirector(instance) => {
                instance.run("reload", &arguments(rules)).success("reload");
            }
            Self::Nft(host) => nft(host, &table(rules)),
        }
    }

    /// As [`Stage::forget_flows`].
    pub fn forget_flows(&self) {
        if let Self::Redirector(instance) = self {
            instance.forget_flows();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        match self {
            Self::Nft(host) if !std::thread::panicking() => nft(host, "delete table inet own"),
            _ => {}
        }
    }
}

fn arguments(rules: Rules<'_>) -> String {
    let mut arguments = "-i eth0 -i lo".to_owned();
    for (from, to) in rules {
        write!(arguments, " {from}:{to}").expect("a string grows");
    }
    arguments
}

fn table(rules: Rules<'_>) -> String {
    let mut lines = String::new();
    for (from, to) in rules {
        writeln!(
            lines,
            "fib daddr type local tcp dport {from} redirect to :{to}"
        )
        .expect("a string grows");
    }
    format!(
        "table inet own
         delete table inet own
         table inet own {{
             chain prerouting {{ type nat hook prerouting priority dstnat; {lines} }}
         }}"
    )
}
