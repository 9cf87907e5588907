//! Which interface is above which: a bridge above its ports, a VLAN device above what carries it.

use std::collections::BTreeSet;

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage},
};

use super::{Netlink, Refusal};

/// Pairs of indexes: below, above.
#[derive(Debug, Default)]
pub struct Stack(Vec<(u32, u32)>);

impl Netlink {
    /// All interfaces of the network namespace.
    pub fn stack(&self) -> Result<Stack, Refusal> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers = self.request(request, NLM_F_DUMP)?;
        Ok(Stack(answers.iter().flat_map(pairs).collect()))
    }
}

impl Stack {
    /// Every interface that packets of this one come to afterwards.
    pub fn above(&self, ifindex: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut next = vec![ifindex];
        while let Some(below) = next.pop() {
            let above = self.0.iter().filter(|pair| pair.0 == below);
            next.extend(
                above
                    .map(|pair| pair.1)
                    .filter(|above| found.insert(*above)),
            );
        }
        found
    }
}

fn pairs(answer: &RouteNetlinkMessage) -> Vec<(u32, u32)> {
    let RouteNetlinkMessage::NewLink(link) = answer else {
        return Vec::new();
    };
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
    }
}
