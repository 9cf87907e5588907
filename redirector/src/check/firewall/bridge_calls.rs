//! What has netfilter look at what bridges carry (`br_nf_pre_routing()` in net/bridge/br_netfilter_hooks.c).

use std::{collections::HashMap, fmt, fs};

use crate::{check::Versions, kernel};

/// For packets of which versions of IP.
#[derive(Debug, Default)]
pub struct Calls {
    sysctls: Versions,
    /// Of single bridges, whatever the sysctls say.
    options: HashMap<String, Versions>,
}

/// One that is on.
#[derive(Clone, Copy, Debug)]
pub enum Switch<'a> {
    Sysctl { tool: &'static str },
    Option { bridge: &'a str, tool: &'static str },
}

/// Where netfilter is called there is this folder; without `br_netfilter` the options of bridges do nothing.
const SYSCTLS: &str = "/proc/sys/net/bridge";

impl Calls {
    pub fn new(sysctls: Versions, options: impl IntoIterator<Item = (String, Versions)>) -> Self {
        Self {
            sysctls,
            options: options.into_iter().collect(),
        }
    }

    pub fn read() -> Self {
        let read = |tool: &str| fs::read_to_string(format!("{SYSCTLS}/bridge-nf-call-{tool}"));
        let [Ok(ipv4), Ok(ipv6)] = ["iptables", "ip6tables"].map(read) else {
            return Self::default();
        };
        let is_on = |value: &str| value.trim() != "0";
        let sysctls = Versions {
            ipv4: is_on(&ipv4),
            ipv6: is_on(&ipv6),
        };
        Self::new(sysctls, kernel::bridge_options())
    }

    pub fn of(&self, bridge: &str) -> Versions {
        let option = self.option(bridge);
        Versions {
            ipv4: self.sysctls.ipv4 || option.ipv4,
            ipv6: self.sysctls.ipv6 || option.ipv6,
        }
    }

    /// Those that are about packets of these versions on a bridge.
    pub fn switches<'a>(&self, bridge: &'a str, versions: Versions) -> Vec<Switch<'a>> {
        let concerned = [(false, "iptables"), (true, "ip6tables")]
            .into_iter()
            .filter(|(ipv6, _)| versions.has(*ipv6));
        let sysctls = concerned
            .clone()
            .filter(|(ipv6, _)| self.sysctls.has(*ipv6))
            .map(|(_, tool)| Switch::Sysctl { tool });
        let options = concerned
            .filter(|(ipv6, _)| self.option(bridge).has(*ipv6))
            .map(|(_, tool)| Switch::Option { bridge, tool });
        sysctls.chain(options).collect()
    }

    fn option(&self, bridge: &str) -> Versions {
        self.options.get(bridge).copied().unwrap_or(Versions::NONE)
    }
}

impl Switch<'_> {
    /// The command that turns it off.
    pub fn off(&self) -> String {
        match self {
            Self::Sysctl { .. } => format!("sysctl {self}=0"),
            Self::Option { bridge, tool } => {
                format!("ip link set {bridge} type bridge nf_call_{tool} 0")
            }
        }
    }
}

impl fmt::Display for Switch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl { tool } => write!(f, "net.bridge.bridge-nf-call-{tool}"),
            Self::Option { bridge, tool } => write!(f, "nf_call_{tool} of {bridge}"),
        }
    }
}
