/// The side of the interface a packet crosses, seen from this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Toward the application: the destination port is rewritten.
    Ingress,
    /// Toward the client: the source port is rewritten back.
    Egress,
}

impl Direction {
    #[inline(always)]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Ingress => Self::Egress,
            Self::Egress => Self::Ingress,
        }
    }
}
