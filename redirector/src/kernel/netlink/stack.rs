//! Which interface is above which: a bridge above its ports, a VLAN device above what carries it.

use std::collections::{BTreeSet, HashMap};

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo, LinkMessage},
};

use super::{Netlink, Refusal};
use crate::check::Versions;

/// Pairs of indexes: below, above.
#[derive(Debug, Default)]
pub struct Stack(Vec<(u32, u32)>);

/// What the kernel tells of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mtu: Option<u32>,
    pub rx_queues: Option<u32>,
    /// Of a device that is made by command, e.g. `vlan`.
    pub kind: Option<String>,
    /// Index of the bridge, bond or other device that it is a port of.
    pub controller: Option<u32>,
}

impl Netlink {
    /// All interfaces of the network namespace.
    pub fn stack(&self) -> Result<Stack, Refusal> {
        Ok(Stack(self.dump()?.iter().flat_map(pairs).collect()))
    }

    /// The same ones, each alone.
    pub fn links(&self) -> Result<Vec<Link>, Refusal> {
        Ok(self.dump()?.iter().map(link).collect())
    }

    fn dump(&self) -> Result<Vec<LinkMessage>, Refusal> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.request(request, NLM_F_DUMP)?;
        let links = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        });
        Ok(links.collect())
    }
}

/// The names of ports, and of the bridges that they belong to. None where the kernel does not tell.
pub fn bridges() -> Vec<(String, String)> {
    let links = Netlink::open()
        .ok()
        .and_then(|netlink| netlink.links().ok());
    let links = links.unwrap_or_default();
    let bridges: HashMap<_, _> = links
        .iter()
        .filter(|link| link.kind.as_deref() == Some("bridge"))
        .map(|link| (link.index, &link.name))
        .collect();
    links
        .iter()
        .filter_map(|link| {
            let bridge = bridges.get(&link.controller?)?;
            Some((link.name.clone(), (*bridge).clone()))
        })
        .collect()
}

/// For packets of which versions of IP each bridge has netfilter called by an option of its own. None where the kernel
/// does not tell.
pub fn bridge_options() -> Vec<(String, Versions)> {
    let messages = Netlink::open().ok().and_then(|netlink| netlink.dump().ok());
    let messages = messages.unwrap_or_default();
    messages
        .iter()
        .filter_map(|message| Some((link(message).name, calls(message)?)))
        .collect()
}

fn calls(message: &LinkMessage) -> Option<Versions> {
    let mut infos = message.attributes.iter().filter_map(|each| match each {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let options = infos.find_map(|infos| {
        infos.iter().find_map(|info| match info {
            LinkInfo::Data(InfoData::Bridge(options)) => Some(options),
            _ => None,
        })
    })?;
    Some(Versions {
        ipv4: options.contains(&InfoBridge::NfCallIpTables(true)),
        ipv6: options.contains(&InfoBridge::NfCallIp6Tables(true)),
    })
}

impl Stack {
    /// Every interface that packets of this one come to afterwards.
    pub fn above(&self, ifindex: u32) -> BTreeSet<u32> {
        closure(ifindex, &self.0)
    }

    /// Every interface whose packets come to this one.
    pub fn below(&self, ifindex: u32) -> BTreeSet<u32> {
        let reversed: Vec<_> = self
            .0
            .iter()
            .map(|(below, above)| (*above, *below))
            .collect();
        closure(ifindex, &reversed)
    }
}

fn closure(from: u32, pairs: &[(u32, u32)]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(from) = next.pop() {
        let reached = pairs.iter().filter(|pair| pair.0 == from);
        next.extend(
            reached
                .map(|pair| pair.1)
                .filter(|reached| found.insert(*reached)),
        );
    }
    found
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = Some(*mtu),
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Controller(above) => link.controller = Some(*above),
            LinkAttribute::NumRxQueues(queues) => link.rx_queues = Some(*queues),
            LinkAttribute::LinkInfo(info) => {
                link.kind = info.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

fn pairs(link: &LinkMessage) -> Vec<(u32, u32)> {
    let index = link.header.index;
    let is_above = |info: &LinkInfo| {
        use InfoKind::{IpVlan, MacVlan, Vlan};
        // A veth's link is its peer.
        matches!(info, LinkInfo::Kind(Vlan | MacVlan | IpVlan))
    };
    let has_below = link.attributes.iter().any(
        |attribute| matches!(attribute, LinkAttribute::LinkInfo(info) if info.iter().any(is_above)),
    );
    link.attributes
        .iter()
        .filter_map(|attribute| match attribute {
            LinkAttribute::Controller(above) => Some((index, *above)),
            LinkAttribute::Link(below) if has_below => Some((*below, index)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_what_is_above() {
        let stack = Stack(vec![(2, 5), (3, 5), (5, 7), (4, 6), (7, 5)]);
        for (below, above) in [(2, &[5, 7][..]), (5, &[5, 7]), (4, &[6]), (6, &[])] {
            assert_eq!(stack.above(below), above.iter().copied().collect());
        }
        assert_eq!(stack.below(6), [4].into());
        assert_eq!(stack.below(7), [2, 3, 5, 7].into());
    }
}
