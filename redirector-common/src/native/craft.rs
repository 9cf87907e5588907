//! Packets from a description, checksums computed in full: what the packet path must agree with.
//! Written from the RFCs, it shares nothing with it.

mod icmp;
mod ip;

use std::{net::IpAddr, vec::Vec};

pub use icmp::IcmpError;
pub use ip::Envelope;

use crate::{LinkLayer, abi::Address, native::Frame};

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp {
        flags: u8,
        sequence: u32,
        acknowledgment: u32,
    },
    Udp {
        /// Without one the field is 0.
        checksum: bool,
    },
}

/// An IPv6 extension header of `8 * (units + 1)` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    pub number: u8,
    pub units: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// In units of 8 bytes.
    pub offset: u16,
    pub more: bool,
}

/// A packet, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Craft {
    pub link_layer: LinkLayer,
    /// The TPIDs of the VLAN tags, outermost first; for Ethernet only.
    pub tags: Vec<u16>,
    /// Of the same family.
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
    pub transport: Transport,
    /// IPv4: a multiple of 4 bytes, at most 40.
    pub options: Vec<u8>,
    /// IPv6: before the fragment header.
    pub extensions: Vec<Extension>,
    pub fragment: Option<Fragment>,
    /// The first byte of the IPv6 traffic class and of the IPv4 one.
    pub traffic_class: u8,
    pub payload: Vec<u8>,
    /// Payload that later fragments carry.
    pub beyond: Vec<u8>,
}

impl Craft {
    /// A plain packet over Ethernet.
    pub fn new(source: (IpAddr, u16), destination: (IpAddr, u16), transport: Transport) -> Self {
        Self {
            link_layer: LinkLayer::Ethernet,
            tags: Vec::new(),
            source: source.0,
            destination: destination.0,
            source_port: source.1,
            destination_port: destination.1,
            transport,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
            traffic_class: 0,
            payload: Vec::from(*b"payload"),
            beyond: Vec::new(),
        }
    }

    pub fn frame(&self) -> Frame {
        self.envelope()
            .frame(self.protocol_number(), &self.segment())
    }

    /// Bytes from the start of the packet to the network header.
    pub fn network(&self) -> usize {
        self.envelope().network()
    }

    /// Bytes from the start of the packet to the ports.
    pub fn transport(&self) -> usize {
        self.envelope().transport()
    }

    pub fn protocol_number(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }

    fn envelope(&self) -> Envelope {
        Envelope {
            link_layer: self.link_layer,
            tags: self.tags.clone(),
            source: self.source,
            destination: self.destination,
            options: self.options.clone(),
            extensions: self.extensions.clone(),
            fragment: self.fragment,
            traffic_class: self.traffic_class,
        }
    }

    fn segment(&self) -> Vec<u8> {
        if self.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return self.payload.clone();
        }
        let mut segment = Vec::new();
        segment.extend(self.source_port.to_be_bytes());
        segment.extend(self.destination_port.to_be_bytes());
        let (checksum_at, none) = match self.transport {
            Transport::Tcp {
                flags,
                sequence,
                acknowledgment,
            } => {
                segment.extend(sequence.to_be_bytes());
                segment.extend(acknowledgment.to_be_bytes());
                segment.extend([0x50, flags, 0x20, 0x00, 0, 0, 0, 0]);
                (16, false)
            }
            Transport::Udp { checksum } => {
                let length = 8 + self.payload.len() + self.beyond.len();
                segment.extend((length as u16).to_be_bytes());
                segment.extend([0, 0]);
                (6, !checksum)
            }
        };
        segment.extend(&self.payload);
        if !none {
            let checksum = self.checksum(&segment).to_be_bytes();
            segment[checksum_at..][..2].copy_from_slice(&checksum);
        }
        segment
    }

    /// Over the pseudo header and everything that follows; the field itself is 0.
    fn checksum(&self, segment: &[u8]) -> u16 {
        let length = segment.len() + self.beyond.len();
        let mut bytes = self
            .envelope()
            .pseudo_header(self.protocol_number(), length);
        bytes.extend(segment);
        bytes.extend(&self.beyond);
        match (!sum(&bytes), self.transport) {
            // RFC 768
            (0, Transport::Udp { .. }) => 0xffff,
            (checksum, _) => checksum,
        }
    }
}

/// As the packet path has it.
pub fn address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => Address::ipv4(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => Address::ipv6(address.octets()),
    }
}

/// The ones' complement sum of RFC 1071.
fn sum(bytes: &[u8]) -> u16 {
    let mut total: u64 = bytes
        .chunks(2)
        .map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)))
        .sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
