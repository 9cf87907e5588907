//! The one place that decides which hook an interface gets.

use std::{fmt, io, sync::OnceLock};

use aya::programs::{SchedClassifier, TcAttachType};
use libc::{
    ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE, ARPHRD_PPP, ARPHRD_SIT, ARPHRD_TUNNEL,
    ARPHRD_TUNNEL6,
};
use redirector_common::{
    Direction,
    abi::{ATTACH_CLSACT, ATTACH_OWN_QDISC},
};

use super::{clsact, netlink};
use crate::{
    config::{self, Config, Hook, Interface},
    kernel::{Error, fault, netlink::Stack, sys},
};

/// An interface, and what is attached there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub interface: Interface,
    /// Whether packets begin with an Ethernet header; tun and WireGuard have none.
    pub has_link_layer: bool,
    pub tc: Tc,
    /// Before traffic control, which stays for what XDP leaves to it.
    pub xdp: Option<config::XdpMode>,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tc {
    Tcx,
    Clsact {
        /// There is no such qdisc yet.
        brings_qdisc: bool,
    },
}

/// Why an interface gets its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Asked,
    /// Nothing was asked for.
    Default,
    Loopback,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked",
            Self::Default => "for bulk traffic GRO has merged packets before it",
            Self::Loopback => "XDP on loopback would linearise packets and stall TCP",
        })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, {}",
            self.interface.name,
            self.hooks(),
            self.reason
        )
    }
}

impl Site {
    /// What is attached there, in words.
    pub const fn hooks(&self) -> &'static str {
        match (self.xdp, self.tc) {
            (None, Tc::Tcx) => "tcx",
            (None, Tc::Clsact { .. }) => "clsact",
            (Some(_), Tc::Tcx) => "xdp and tcx",
            (Some(_), Tc::Clsact { .. }) => "xdp and clsact",
        }
    }

    pub fn program(&self, direction: Direction) -> &'static str {
        match (self.has_link_layer, direction) {
            (true, Direction::Ingress) => "ingress",
            (true, Direction::Egress) => "egress",
            (false, Direction::Ingress) => "ingress_l3",
            (false, Direction::Egress) => "egress_l3",
        }
    }

    /// As [`redirector_common::abi::InterfaceRecord`] has it.
    pub fn flags(&self) -> u32 {
        match self.tc {
            Tc::Tcx => 0,
            Tc::Clsact { .. } if self.brings_qdisc() => ATTACH_CLSACT | ATTACH_OWN_QDISC,
            Tc::Clsact { .. } => ATTACH_CLSACT,
        }
    }
}

/// What each interface of a configuration gets. Asks, and changes nothing.
pub fn choose(config: &Config, interfaces: &[Interface]) -> Result<Vec<Site>, Error> {
    let sites = interfaces
        .iter()
        .map(|each| site(config, each))
        .collect::<Result<Vec<_>, _>>()?;
    let with_xdp: Vec<_> = sites.iter().filter(|site| site.xdp.is_some()).collect();
    if with_xdp.len() > 1 {
        let stack = netlink()?
            .stack()
            .map_err(|error| Error::io("ask", "rtnetlink about links")(io::Error::other(error)))?;
        refuse_stacked(&with_xdp, &stack)?;
    }
    Ok(sites)
}

/// XDP sees no mark of an interface below.
fn refuse_stacked(sites: &[&Site], stack: &Stack) -> Result<(), Error> {
    for below in sites {
        let above = stack.above(below.interface.index);
        let mut others = sites.iter().map(|site| &site.interface);
        if let Some(above) = others.find(|other| above.contains(&other.index)) {
            return Err(Error::XdpStacked {
                above: above.name.clone(),
                below: below.interface.name.clone(),
            });
        }
    }
    Ok(())
}

fn site(config: &Config, interface: &Interface) -> Result<Site, Error> {
    let hardware =
        sys::hardware_type(&interface.name).map_err(Error::io("look at", &interface.name))?;
    let has_link_layer = match hardware {
        ARPHRD_ETHER | ARPHRD_LOOPBACK => true,
        ARPHRD_NONE | ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_SIT => false,
        hardware => {
            return Err(Error::LinkLayer {
                interface: interface.name.clone(),
                hardware,
            });
        }
    };
    let tc = if has_tcx() {
        Tc::Tcx
    } else {
        Tc::Clsact {
            brings_qdisc: !clsact::is_there(interface.index)?,
        }
    };
    let (xdp, reason) = match config.hook {
        Hook::Auto => (None, Reason::Default),
        Hook::Tc => (None, Reason::Asked),
        Hook::Xdp if hardware == ARPHRD_LOOPBACK => (None, Reason::Loopback),
        Hook::Xdp if !has_link_layer => {
            return Err(Error::XdpNeedsEthernet {
                interface: interface.name.clone(),
            });
        }
        Hook::Xdp => (Some(config.xdp_mode), Reason::Asked),
    };
    Ok(Site {
        interface: interface.clone(),
        has_link_layer,
        tc,
        xdp,
        reason,
    })
}

/// Whether this kernel has TCX: it is asked for loopback's programs, which every kernel that has it
/// can list.
pub fn has_tcx() -> bool {
    static HAS_TCX: OnceLock<bool> = OnceLock::new();
    *HAS_TCX.get_or_init(|| {
        !fault::pretends_no_tcx() && SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
    })
}
