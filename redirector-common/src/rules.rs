//! Which rule a packet to a wire port falls under.

use crate::{
    Packet, State,
    abi::{ANY_ADDRESS, FlowKey, PORT_SCOPED, Port, PortEntry, RuleKey},
    decision::Decision,
    track::Translation,
};

/// The target and number of the rule for a wire port; no target where it was removed.
#[inline(always)]
pub fn target<P: Packet, S: State>(
    packet: &P,
    state: &S,
    key: &FlowKey,
    entry: PortEntry,
) -> Translation {
    if entry.flags & PORT_SCOPED != 0
        && let Ok(Some(scoped)) = scoped(state, key).into_result()
    {
        return scoped;
    }
    Translation::to(
        Port::from_be(packet.opaque(u32::from(entry.target.to_be())) as u16),
        packet.opaque(entry.rule),
    )
}

/// The most specific rule wins: address and interface, then address, then interface. Neither is in
/// the port's entry.
#[inline(never)]
fn scoped<S: State>(state: &S, key: &FlowKey) -> Decision {
    for scope in 0..3 {
        let rule = RuleKey {
            address: if scope < 2 { key.local } else { ANY_ADDRESS },
            ifindex: if scope & 1 == 0 {
                state.unbounded(state.ifindex().into()) as u32
            } else {
                0
            },
            port: key.local_port,
            protocol: key.protocol.number() as u8,
            slot: 0,
        };
        if let Some(rule) = state.rule(&rule) {
            return Decision::redirect(Translation::to(rule.target, rule.number));
        }
    }
    Decision::PASS
}
