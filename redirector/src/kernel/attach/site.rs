//! The one place that decides which hook an interface gets.

use std::{collections::BTreeSet, fmt, io, sync::OnceLock};

use libc::{
    ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE, ARPHRD_PPP, ARPHRD_SIT, ARPHRD_TUNNEL,
    ARPHRD_TUNNEL6,
};
use redirector_common::{
    Direction,
    abi::{ATTACH_CLSACT, ATTACH_OWN_QDISC},
};

use super::{clsact, name, netlink, or_vanished, tcx, xdp, xdp::ForeignXdp};
use crate::{
    config::{self, Config, Hook, Interface, Name},
    kernel::{Error, bpffs, fault, netlink::Stack, sys},
    plan::{Hooks, IngressHook},
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
    /// An XDP program of somebody else, which stays and runs before traffic control.
    pub beside: Option<ForeignXdp>,
    pub reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tc {
    Tcx,
    Clsact {
        /// The last instance to leave removes the qdisc.
        owns_qdisc: bool,
    },
}

/// What the decision about an interface depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `ARPHRD_*`
    pub hardware: u16,
    pub tc: Tc,
    pub foreign_xdp: Option<ForeignXdp>,
    /// The mode of XDP that the instance has there, or had before the interface was made again.
    pub kept: Option<config::XdpMode>,
}

/// Why an interface gets its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Asked,
    /// Nothing was asked for.
    Default,
    /// Nor was it by a reload.
    Kept,
    Loopback,
}

impl Reason {
    /// The rule in words.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Asked => "a hook that is asked for is taken, or the load fails",
            Self::Default => {
                "hook = auto is traffic control on every interface. What XDP rewrites passes traffic \
                 control too, and in a driver XDP runs before GRO has merged packets, so more often. For \
                 many small packets on a NIC whose driver has native XDP, measure --hook xdp"
            }
            Self::Kept => "where no hook is named, the one that is loaded stays",
            Self::Loopback => {
                "loopback has traffic control only: its XDP is generic, copies every large packet into one \
                 piece, and TCP stalls"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked",
            Self::Default => "by default, as XDP has not measured faster",
            Self::Kept => "as it was",
            Self::Loopback => "without XDP, which would copy every large packet of loopback",
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
    /// Why it takes no program of ours in a direction.
    pub fn refused(&self, direction: Direction, reason: String) -> Error {
        Error::Attach {
            interface: self.interface.name.clone(),
            direction: name(direction),
            reason,
        }
    }

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

    /// Of the ingress half, as JSON has it; the mode of XDP is known once it is attached.
    pub fn hook_name(&self) -> &'static str {
        match (self.xdp, self.tc) {
            (Some(config::XdpMode::Auto), _) => "xdp",
            (Some(config::XdpMode::Native), _) => IngressHook::XdpNative.name(),
            (Some(config::XdpMode::Generic), _) => IngressHook::XdpGeneric.name(),
            (None, Tc::Tcx) => IngressHook::Tcx.name(),
            (None, Tc::Clsact { .. }) => IngressHook::Clsact.name(),
        }
    }

    /// As [`redirector_common::abi::InterfaceRecord`] has it.
    pub fn flags(&self) -> u32 {
        match self.tc {
            Tc::Tcx => 0,
            Tc::Clsact { .. } if self.owns_qdisc() => ATTACH_CLSACT | ATTACH_OWN_QDISC,
            Tc::Clsact { .. } => ATTACH_CLSACT,
        }
    }
}

/// What each interface of a configuration gets. Asks, and changes nothing.
/// `hooks` are those that the instance had.
pub fn choose(name: &Name, config: &Config, hooks: &Hooks) -> Result<Vec<Site>, Error> {
    let own = own_programs(name)?;
    let sites = config
        .interfaces
        .iter()
        .map(|each| {
            facts(each, name, &own, hooks)
                .and_then(|facts| decide(config, each, facts))
                .map_err(|error| or_vanished(each, error))
        })
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
pub fn refuse_stacked(sites: &[&Site], stack: &Stack) -> Result<(), Error> {
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

/// The ids of an instance's programs, those of a load that is under way or was interrupted included.
pub fn own_programs(name: &Name) -> Result<BTreeSet<u32>, Error> {
    let mut own = clsact::programs(&bpffs::directory(name))?;
    own.extend(clsact::programs(&bpffs::staging(name))?);
    Ok(own)
}

pub fn facts(
    interface: &Interface,
    name: &Name,
    own: &BTreeSet<u32>,
    hooks: &Hooks,
) -> Result<Facts, Error> {
    let loaded = hooks.of(interface);
    let has_filters = loaded == Some(IngressHook::Clsact);
    let tc = if has_tcx() && !has_filters {
        Tc::Tcx
    } else {
        Tc::Clsact {
            owns_qdisc: clsact::is_qdisc_ours(interface.index)?,
        }
    };
    Ok(Facts {
        hardware: sys::hardware_type(&interface.name)
            .map_err(Error::io("look at", &interface.name))?,
        tc,
        foreign_xdp: xdp::foreign(interface.index, own)?,
        kept: loaded
            .and_then(IngressHook::xdp_mode)
            .map(|mode| xdp::kept(&bpffs::directory(name), interface.index, mode))
            .transpose()?,
    })
}

/// The decision: from what is asked and what is so to the hook, or to why there is none.
pub fn decide(config: &Config, interface: &Interface, facts: Facts) -> Result<Site, Error> {
    let has_link_layer = match facts.hardware {
        ARPHRD_ETHER | ARPHRD_LOOPBACK => true,
        ARPHRD_NONE | ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_SIT => false,
        hardware => {
            return Err(Error::LinkLayer {
                interface: interface.name.clone(),
                hardware,
            });
        }
    };
    let (xdp, reason) = match (config.hook, facts.kept) {
        (Hook::Auto, Some(mode)) => (Some(mode), Reason::Kept),
        (Hook::Auto, _) => (None, Reason::Default),
        (Hook::Tc, _) => (None, Reason::Asked),
        (Hook::Xdp, _) if facts.hardware == ARPHRD_LOOPBACK => (None, Reason::Loopback),
        (Hook::Xdp, _) => (Some(config.xdp_mode), Reason::Asked),
    };
    if xdp.is_some() && !has_link_layer {
        return Err(Error::XdpNeedsEthernet {
            interface: interface.name.clone(),
        });
    }
    let beside = match facts.foreign_xdp {
        Some(other) if xdp.is_some() => {
            return Err(Error::ForeignXdp {
                interface: interface.name.clone(),
                other,
            });
        }
        other => other,
    };
    Ok(Site {
        interface: interface.clone(),
        has_link_layer,
        tc: facts.tc,
        xdp,
        beside,
        reason,
    })
}

/// Whether this kernel has TCX: it is asked for loopback's programs, which every kernel that has it can
/// list.
pub fn has_tcx() -> bool {
    tcx() == Some(true)
}

/// The same; `None` where this process may not ask.
pub fn tcx() -> Option<bool> {
    static HAS_TCX: OnceLock<Option<bool>> = OnceLock::new();
    *HAS_TCX.get_or_init(|| {
        if fault::pretends_no_tcx() {
            return Some(false);
        }
        match tcx::programs(Interface::LOOPBACK, Direction::Ingress) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(_) => Some(false),
        }
    })
}
