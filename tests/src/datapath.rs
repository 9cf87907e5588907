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

    /// The one that `REDIRECTOR_DATAPATH` names, or both, the oracle first.
    pub fn all_under_test() -> Vec<Self> {
        match env::var_os("REDIRECTOR_DATAPATH") {
            Some(_) => vec![Self::under_test()],
            None => vec![Self::Nft, Self::Redirector],
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
                nft(host, &ruleset(rules, None));
                Redirected::Nft(host.clone())
            }
        }
    }

    /// Traffic that enters by any other interface is left alone by nft too, which otherwise redirects
    /// everywhere.
    #[track_caller]
    pub fn redirect_only_on(
        self,
        host: &Namespace,
        interfaces: &[&str],
        rules: &[&str],
    ) -> Redirected {
        match self {
            Self::Redirector => self.redirect_on(host, interfaces, rules),
            Self::Nft => {
                nft(host, &ruleset(rules, Some(interfaces)));
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

impl Redirected {
    /// As after many newer flows: the redirector's flow tables are emptied, what sockets remember
    /// stays. Conntrack keeps what it has.
    pub fn forget_flows(&self) {
        if let Self::Redirector(instance) = self {
            instance.forget_flows();
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
fn ruleset(rules: &[&str], only: Option<&[&str]>) -> String {
    let entrance = only.map_or_else(String::new, |interfaces| {
        format!("iifname {{ {} }}", interfaces.join(", "))
    });
    let has_output = only.is_none_or(|interfaces| interfaces.contains(&"lo"));
    let mut prerouting = String::new();
    let mut output = String::new();
    for rule in rules {
        let (address, from, to, protocol) = parse(rule);
        let local = format!("fib daddr type local {address} {protocol} dport {from}");
        writeln!(prerouting, "{entrance} {local} redirect to :{to}").expect("a string grows");
        if has_output {
            writeln!(output, "{local} dnat to :{to}").expect("a string grows");
        }
    }
    format!(
        "table inet oracle {{
             chain prerouting {{ type nat hook prerouting priority dstnat; {prerouting} }}
             chain output {{ type nat hook output priority -100; {output} }}
         }}"
    )
}

/// The address as a match of nft, empty for none.
fn parse(rule: &str) -> (String, &str, &str, &str) {
    let shape = || panic!("{rule}: [ADDRESS:]FROM:TO[/PROTOCOL]");
    let (ports, protocol) = rule.split_once('/').unwrap_or((rule, "tcp"));
    let (rest, to) = ports.rsplit_once(':').unwrap_or_else(shape);
    let (address, from) = rest.rsplit_once(':').unwrap_or(("", rest));
    let address = match address.strip_prefix('[') {
        Some(address) => format!("ip6 daddr {}", address.trim_end_matches(']')),
        None if address.is_empty() => String::new(),
        None => format!("ip daddr {address}"),
    };
    (address, from, to, protocol)
}
