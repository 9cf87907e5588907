//! XDP programs of an interface (`IFLA_XDP`, `net/core/rtnetlink.c`).

use std::{fmt, os::fd::RawFd};

use netlink_packet_core::NLM_F_ACK;

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached},
};

use super::{Netlink, Refusal};

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// The driver, before a packet is a socket buffer.
    Native,
    /// The kernel, behind the driver.
    Generic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachedXdp {
    pub mode: XdpMode,
    /// The program's id.
    pub program: u32,
}

/// `include/uapi/linux/if_link.h`: only if there is none, and in which mode.
const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

impl XdpMode {
    pub const fn flags(self) -> u32 {
        match self {
            Self::Native => XDP_FLAGS_DRV_MODE,
            Self::Generic => XDP_FLAGS_SKB_MODE,
        }
    }
}

impl Netlink {
    /// Those that an interface has now, natively first.
    pub fn xdp(&self, ifindex: u32) -> Result<Vec<AttachedXdp>, Refusal> {
        let request = RouteNetlinkMessage::GetLink(message(ifindex));
        let answers = self.request(request, NLM_F_ACK)?;
        Ok(answers.iter().flat_map(attached).collect())
    }

    /// Tries to attach by netlink, which tells why a driver refuses where a link only gives a number.
    /// What it attaches all the same is gone again when this returns.
    pub fn try_xdp(&self, ifindex: u32, program: RawFd, mode: XdpMode) -> Result<(), Refusal> {
        let flags = mode.flags() | XDP_FLAGS_UPDATE_IF_NOEXIST;
        self.set_xdp(ifindex, program, flags)?;
        self.set_xdp(ifindex, -1, mode.flags())
    }

    fn set_xdp(&self, ifindex: u32, program: RawFd, flags: u32) -> Result<(), Refusal> {
        let mut message = message(ifindex);
        message.attributes = vec![LinkAttribute::Xdp(vec![
            LinkXdp::Fd(program),
            LinkXdp::Flags(flags),
        ])];
        self.change(RouteNetlinkMessage::SetLink(message), 0)
    }
}

fn message(ifindex: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message
}

fn attached(answer: &RouteNetlinkMessage) -> Vec<AttachedXdp> {
    let RouteNetlinkMessage::NewLink(link) = answer else {
        return Vec::new();
    };
    let mut xdp = Vec::new();
    for attribute in &link.attributes {
        if let LinkAttribute::Xdp(entries) = attribute {
            xdp.extend(entries);
        }
    }
    let is_generic = xdp
        .iter()
        .any(|entry| matches!(entry, LinkXdp::Attached(XdpAttached::SocketBuffer)));
    let one = |mode, program| (program != 0).then_some(AttachedXdp { mode, program });
    let mut found: Vec<_> = xdp
        .iter()
        .filter_map(|entry| match entry {
            LinkXdp::DrvProgId(id) | LinkXdp::HwProgId(id) => one(XdpMode::Native, *id),
            LinkXdp::SkbProgId(id) => one(XdpMode::Generic, *id),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        // Kernels with one program say its mode apart.
        let mode = if is_generic {
            XdpMode::Generic
        } else {
            XdpMode::Native
        };
        found.extend(xdp.iter().filter_map(|entry| match entry {
            LinkXdp::ProgId(id) => one(mode, *id),
            _ => None,
        }));
    }
    found
}
