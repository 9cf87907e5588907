//! Values of the cache in front of the tables of flows.

use bytemuck::{Pod, Zeroable};

use super::{Address, Port};

/// Places of the `RECENT` map; a power of two.
pub const RECENT_PLACES: u32 = 1 << 14;

/// Value of the `RECENT` map: a redirected TCP connection that has packets now, in one cache line. CPUs read and
/// write it without a lock: what two of them wrote at once, or one before the flow ended, fails `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(8))]
pub struct Recent {
    pub remote: Address,
    pub local: Address,
    pub remote_port: Port,
    /// After the rewrite.
    pub local_port: Port,
    /// As [`Flow`](super::Flow)'s.
    pub created: u32,
    /// How often a flow of this place began or ended, be it UDP's.
    pub generation: u64,
    /// The port on the wire, flags and the rule, as `redirector_common::recent` packs them.
    pub origin: u64,
    /// Of all that, generation included.
    pub check: u64,
}

const _: () = assert!(size_of::<Recent>() == 64);
