//! Why an interface gets its hook: the facts, and what [`site::decide`] makes of them.

use std::io;

use libc::{ARPHRD_ETHER, ARPHRD_LOOPBACK};

use super::{
    ForeignXdp, netlink,
    site::{self, Site},
};
use crate::{
    config::{Config, Interface, Name},
    host::Network,
    kernel::{
        Error,
        netlink::{Link, Stack, xdp_features},
        sys,
    },
    plan::Loaded,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub interface: Interface,
    pub probed: Probed,
    /// The hook and its reason, or why there is none.
    pub decision: Result<Site, String>,
}

/// What is so; `None` where it is not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    pub driver: Option<String>,
    /// Whether the kernel has it.
    pub tcx: Option<bool>,
    pub loopback: Option<bool>,
    /// Whether packets begin with an Ethernet header.
    pub ethernet: Option<bool>,
    /// Interfaces that its packets come to afterwards, as a bridge; and those that they come from.
    pub above: Option<Vec<String>>,
    pub below: Option<Vec<String>>,
    /// By the names of the kernel's netdev specification; empty without native XDP.
    pub xdp_features: Option<Vec<&'static str>>,
    /// Of somebody else.
    pub xdp_program: Option<ForeignXdp>,
    pub gro: Option<bool>,
    pub lro: Option<bool>,
    pub rx_queues: Option<u32>,
    pub mtu: Option<u32>,
}

/// For each interface, in their order. Asks, and changes nothing.
pub fn explain(
    name: &Name,
    config: &Config,
    loaded: Option<&Loaded>,
) -> Result<Vec<Explanation>, Error> {
    let host = Host::read()?;
    let own = site::own_programs(name);
    let hooks = loaded.map(Loaded::hooks).unwrap_or_default();
    let mut explanations: Vec<_> = config
        .interfaces
        .iter()
        .map(|interface| {
            let facts = match &own {
                Ok(own) => {
                    site::facts(interface, name, own, &hooks).map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            let mut probed = host.probe(interface);
            probed.xdp_program = facts.as_ref().ok().and_then(|it| it.foreign_xdp.clone());
            let decision = match (facts, probed.tcx) {
                (_, None) => Err("it takes CAP_NET_ADMIN to ask the kernel for TCX".to_owned()),
                (facts, Some(_)) => facts.and_then(|facts| {
                    site::decide(config, interface, facts).map_err(|error| error.to_string())
                }),
            };
            Explanation {
                interface: interface.clone(),
                probed,
                decision,
            }
        })
        .collect();
    refuse_stacked(&mut explanations, &host.stack);
    Ok(explanations)
}

/// What is decided for each alone may not stand together.
fn refuse_stacked(explanations: &mut [Explanation], stack: &Stack) {
    let decided = explanations
        .iter()
        .filter_map(|each| each.decision.as_ref().ok());
    let with_xdp: Vec<_> = decided.filter(|site| site.xdp.is_some()).collect();
    let Err(error) = site::refuse_stacked(&with_xdp, stack) else {
        return;
    };
    for each in explanations {
        if each.decision.as_ref().is_ok_and(|site| site.xdp.is_some()) {
            each.decision = Err(error.to_string());
        }
    }
}

/// What one answer tells of all interfaces.
struct Host {
    network: Network,
    stack: Stack,
    links: Vec<Link>,
}

impl Host {
    fn read() -> Result<Self, Error> {
        let ask = |error| Error::io("ask", "rtnetlink about links")(io::Error::other(error));
        let netlink = netlink()?;
        Ok(Self {
            network: Network::read()
                .map_err(|error| Error::io("list", "interfaces")(io::Error::other(error)))?,
            stack: netlink.stack().map_err(ask)?,
            links: netlink.links().map_err(ask)?,
        })
    }

    fn probe(&self, interface: &Interface) -> Probed {
        let (name, index) = (&interface.name, interface.index);
        let link = self.links.iter().find(|link| link.index == index);
        let hardware = sys::hardware_type(name).ok();
        let offloads = sys::receive_offloads(name).ok();
        let kind = link.and_then(|link| link.kind.clone());
        Probed {
            driver: sys::driver(name).ok().or(kind),
            tcx: site::tcx(),
            loopback: hardware.map(|hardware| hardware == ARPHRD_LOOPBACK),
            ethernet: hardware.map(|it| [ARPHRD_ETHER, ARPHRD_LOOPBACK].contains(&it)),
            above: Some(self.names(self.stack.above(index))),
            below: Some(self.names(self.stack.below(index))),
            xdp_features: xdp_features(index).ok(),
            xdp_program: None,
            gro: offloads.map(|offloads| offloads.gro),
            lro: offloads.map(|offloads| offloads.lro),
            rx_queues: link.and_then(|link| link.rx_queues),
            mtu: link.and_then(|link| link.mtu),
        }
    }

    fn names(&self, indexes: impl IntoIterator<Item = u32>) -> Vec<String> {
        let name = |index| {
            let mut interfaces = self.network.interfaces.iter();
            Some(interfaces.find(|each| each.index == index)?.name.clone())
        };
        indexes.into_iter().filter_map(name).collect()
    }
}
