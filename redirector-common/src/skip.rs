/// Why a packet that could have been ours was left alone. The discriminant indexes the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Skip {
    /// Headers that end early or contradict themselves.
    Malformed = 0,
    /// A fragment without ports; the first one of its datagram was handled.
    Fragment = 1,
    /// Seen by the interface, addressed to another host on the link.
    OtherHost = 2,
    /// To be forwarded: its destination is not an address of this host.
    NotLocal = 3,
    /// Belongs to a connection with the wire port itself, as before the load.
    Established = 4,
    /// Belongs to a flow that this host began from that port.
    Outgoing = 5,
    /// From the target port to a client that connected to it directly.
    Direct = 6,
    /// The rewrite would merge it into another connection: no other client port was free for a SYN,
    /// or a stray packet has the tuple of a direct connection.
    Collision = 7,
    /// The kernel refused to write the packet.
    Rewrite = 8,
}

impl Skip {
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Fragment,
        Self::OtherHost,
        Self::NotLocal,
        Self::Established,
        Self::Outgoing,
        Self::Direct,
        Self::Collision,
        Self::Rewrite,
    ];
    pub const COUNT: u32 = Self::ALL.len() as u32;

    /// The inverse of `as u32`, for those that come out of a [`crate::decision::Decision`].
    #[inline(always)]
    pub(crate) const fn from_discriminant(discriminant: u32) -> Self {
        match discriminant {
            1 => Self::Fragment,
            2 => Self::OtherHost,
            3 => Self::NotLocal,
            4 => Self::Established,
            5 => Self::Outgoing,
            6 => Self::Direct,
            7 => Self::Collision,
            8 => Self::Rewrite,
            _ => Self::Malformed,
        }
    }

    /// The stable name in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Fragment => "fragment",
            Self::OtherHost => "other_host",
            Self::NotLocal => "not_local",
            Self::Established => "established",
            Self::Outgoing => "outgoing",
            Self::Direct => "direct",
            Self::Collision => "collision",
            Self::Rewrite => "rewrite_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Skip;

    #[test]
    fn discriminants_index_all() {
        for (index, skip) in Skip::ALL.into_iter().enumerate() {
            assert_eq!(skip as usize, index);
        }
    }
}
