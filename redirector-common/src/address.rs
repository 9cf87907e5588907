//! Ports, addresses and protocols, as keys and values of maps have them.

use bytemuck::{Pod, Zeroable};

use crate::State;

/// A port, in memory as on the wire (`__be16`); 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Port(u16);

pub const NO_PORT: Port = Port(0);

impl Port {
    /// From host byte order.
    pub const fn new(port: u16) -> Self {
        Self(port.to_be())
    }

    /// In host byte order.
    #[inline(always)]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }

    /// From the kernel's structures.
    #[inline(always)]
    pub const fn from_be(port: u16) -> Self {
        Self(port)
    }

    /// [`State::unbounded`], for the first field of 8 bytes.
    #[inline(always)]
    pub fn unbounded<S: State>(self, state: &S) -> Self {
        Self(state.unbounded(self.0.into()) as u16)
    }

    #[inline(always)]
    pub const fn to_wire(self) -> [u8; 2] {
        self.0.to_ne_bytes()
    }

    /// As the kernel's structures have it.
    #[inline(always)]
    pub const fn to_be(self) -> u16 {
        self.0
    }
}

/// An IPv6 address, or an IPv4 one as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), in memory as on
/// the wire. In 8 bytes at a time, as LLVM copies it and the verifier wants it aligned then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Address([u64; 2]);

pub const ANY_ADDRESS: Address = Address([0; 2]);

/// What an IPv4 address follows.
const MAPPED: u32 = 0xffff_u32.to_be();

impl Address {
    /// From an IPv4 address as on the wire.
    #[inline(always)]
    pub const fn ipv4(address: u32) -> Self {
        Self([0, pair(MAPPED, address)])
    }

    /// The same with a 0 of which the verifier does not know that it is one.
    #[inline(always)]
    pub const fn ipv4_with(zero: u32, address: u32) -> Self {
        Self([pair(zero, zero), pair(MAPPED ^ zero, address)])
    }

    pub const fn ipv6(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
        ])
    }

    /// As the kernel's structures have an IPv6 address.
    #[inline(always)]
    pub fn to_be(self) -> [u32; 4] {
        bytemuck::cast(self.0)
    }

    /// As the kernel's structures have an IPv4 address.
    #[inline(always)]
    pub const fn ipv4_to_be(self) -> u32 {
        second(self.0[1])
    }

    #[inline(always)]
    pub const fn is_ipv4(self) -> bool {
        self.0[0] == 0 && first(self.0[1]) == MAPPED
    }

    #[inline(always)]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    pub fn octets(self) -> [u8; 16] {
        bytemuck::cast(self.0)
    }

    /// RFC 4291 section 2.5.6: fe80::/10.
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        u32::from_be(first(self.0[0])) & 0xffc0_0000 == 0xfe80_0000
    }
}

/// Two words in the order in which they are in memory.
#[inline(always)]
const fn pair(first: u32, second: u32) -> u64 {
    let (low, high) = if cfg!(target_endian = "little") {
        (first, second)
    } else {
        (second, first)
    };
    low as u64 | (high as u64) << 32
}

#[inline(always)]
const fn first(pair: u64) -> u32 {
    if cfg!(target_endian = "little") {
        pair as u32
    } else {
        (pair >> 32) as u32
    }
}

#[inline(always)]
const fn second(pair: u64) -> u32 {
    if cfg!(target_endian = "little") {
        (pair >> 32) as u32
    } else {
        pair as u32
    }
}

/// An IP protocol number (IANA): one of the two that have ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Protocol(u32);

impl Protocol {
    pub const TCP: Self = Self(6);
    pub const UDP: Self = Self(17);

    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}
