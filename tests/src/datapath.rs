//! Who redirects: the binary under test, or nftables as the oracle.

use std::env;
use std::fmt::Write;
use std::fs;

use crate::netns::Namespace;
use crate::process::{Background, run};
use crate::redirector::Instance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datapath {
    Redirector,
    /// `redirect` of nftables' nat chains: what the guide does with iptables.
    Nft,
}

/// A redirection that ends when it is dropped.
pub enum Redirected {
    Redirector(Instance),
    Nft(Namespace),
}

impl Datapath {
    /// The redirector, unless `REDIRECTOR_DATAPATH=nft`.
    pub fn under_test() -> Self {
        match env::var("REDIRECTOR_DATAPATH").as_deref() {
            Err(_) | Ok("redirector") => Self::Redirector,
            Ok("nft") => Self::Nft,
            Ok(other) => panic!("REDIRECTOR_DATAPATH={other}: `redirector` or `nft`"),
        }
    }

    /// Redirects on `eth0` and `lo`, by rules such as `80:8000` and `53:5353/udp`.
    #[track_caller]
    pub fn redirect(self, host: &Namespace, rules: &[&str]) -> Redirected {
        self.redirect_on(host, &["eth0", "lo"], rules)
    }

    #[track_caller]
    pub fn redirect_on(self, host: &Namespace, interfaces: &[&str], rules: &[&str]) -> Redirected {
        match self {
            Self::Redirector => {
                let interfaces: Vec<_> = interfaces
                    .iter()
                    .flat_map(|interface| ["-i", interface])
                    .collect();
                let arguments = format!("{} {}", interfaces.join(" "), rules.join(" "));
                Redirected::Redirector(Instance::load(host, &arguments))
            }
            Self::Nft => {
                nft(host, &ruleset(rules));
                Redirected::Nft(host.clone())
            }
        }
    }

    /// Lets connections that exist before a redirection be known to it: conntrack must be
    /// watching for that, the redirector needs nothing.
    pub fn watch(self, host: &Namespace) {
        if self == Self::Nft {
            nft(
                host,
                "table inet watch {
                     chain input { type filter hook input priority 0; ct state new accept; }
                 }",
            );
        }
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        if let Self::Nft(host) = self {
            nft(host, "delete table inet oracle");
        }
    }
}

/// Runs a script of nft commands.
#[track_caller]
pub fn nft(host: &Namespace, script: &str) {
    let directory = Background::directory();
    let file = directory.path().join("script.nft");
    fs::write(&file, script).expect("a script for nft");
    run(host.command("nft").arg("-f").arg(&file)).success(script);
}

/// `output` uses dnat because redirect there moves every destination to 127.0.0.1, where a
/// UDP server does not answer from the address that was asked.
fn ruleset(rules: &[&str]) -> String {
    let mut prerouting = String::new();
    let mut output = String::new();
    for rule in rules {
        let (from, to, protocol) = parse(rule);
        let local = format!("fib daddr type local {protocol} dport {from}");
        writeln!(prerouting, "{local} redirect to :{to}").expect("a string grows");
        writeln!(output, "{local} dnat to :{to}").expect("a string grows");
    }
    format!(
        "table inet oracle {{
             chain prerouting {{ type nat hook prerouting priority dstnat; {prerouting} }}
             chain output {{ type nat hook output priority -100; {output} }}
         }}"
    )
}

fn parse(rule: &str) -> (&str, &str, &str) {
    let (ports, protocol) = rule.split_once('/').unwrap_or((rule, "tcp"));
    let (from, to) = ports
        .split_once(':')
        .unwrap_or_else(|| panic!("{rule}: FROM:TO[/PROTOCOL]"));
    (from, to, protocol)
}
