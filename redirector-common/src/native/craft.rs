//! Packets from a description, checksums computed in full: what the packet path must agree with.
//! Written from the RFCs, it shares nothing with it.

use std::{net::IpAddr, vec::Vec};

use crate::{LinkLayer, abi::Address, native::Frame};

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
        let mut bytes = self.link();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(&mut bytes, source.octets(), destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ipv6(&mut bytes, source.octets(), destination.octets());
            }
            families => panic!("{families:?} do not go together"),
        }
        Frame {
            bytes,
            link_layer: self.link_layer,
            other_host: false,
        }
    }

    /// Bytes from the start of the packet to the network header.
    pub fn network(&self) -> usize {
        self.link().len()
    }

    /// Bytes from the start of the packet to the ports.
    pub fn transport(&self) -> usize {
        let extensions = self
            .extensions
            .iter()
            .map(|each| usize::from(each.units) + 1);
        let header = match self.source {
            IpAddr::V4(_) => 20 + self.options.len(),
            IpAddr::V6(_) => {
                40 + 8 * (extensions.sum::<usize>() + usize::from(self.fragment.is_some()))
            }
        };
        self.network() + header
    }

    pub fn protocol_number(&self) -> u8 {
        match self.transport {
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }

    /// MAC addresses of zeros are loopback's own.
    fn link(&self) -> Vec<u8> {
        if self.link_layer == LinkLayer::None {
            return Vec::new();
        }
        let mut bytes = Vec::from([0; 12]);
        for tag in &self.tags {
            bytes.extend(tag.to_be_bytes());
            bytes.extend([0x20, 0x07]);
        }
        let ethertype: u16 = if self.source.is_ipv4() {
            0x0800
        } else {
            0x86dd
        };
        bytes.extend(ethertype.to_be_bytes());
        bytes
    }

    /// RFC 791 section 3.1.
    fn ipv4(&self, bytes: &mut Vec<u8>, source: [u8; 4], destination: [u8; 4]) {
        let segment = self.segment();
        let words = 5 + self.options.len() / 4;
        let total = words * 4 + segment.len();
        let mut header = Vec::from([0x40 | words as u8, self.traffic_class]);
        header.extend((total as u16).to_be_bytes());
        header.extend([0x12, 0x34]);
        let fragment = self.fragment.map_or(0, |fragment| {
            fragment.offset & 0x1fff | u16::from(fragment.more) << 13
        });
        header.extend(fragment.to_be_bytes());
        header.extend([64, self.protocol_number(), 0, 0]);
        header.extend(source);
        header.extend(destination);
        header.extend(&self.options);
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend(header);
        bytes.extend(segment);
    }

    /// RFC 8200 sections 3 and 4.
    fn ipv6(&self, bytes: &mut Vec<u8>, source: [u8; 16], destination: [u8; 16]) {
        const FRAGMENT: u8 = 44;
        let mut numbers: Vec<u8> = self.extensions.iter().map(|each| each.number).collect();
        numbers.extend(self.fragment.map(|_| FRAGMENT));
        numbers.push(self.protocol_number());

        let mut body = Vec::new();
        for (extension, next) in self.extensions.iter().zip(&numbers[1..]) {
            body.extend([*next, extension.units]);
            // Pad1 options, or an unknown routing type without segments left.
            body.resize(body.len() + 6 + 8 * usize::from(extension.units), 0);
        }
        if let Some(fragment) = self.fragment {
            // The second byte is reserved and ignored.
            body.extend([self.protocol_number(), 0x99]);
            body.extend((fragment.offset << 3 | u16::from(fragment.more)).to_be_bytes());
            body.extend([0, 0, 0x12, 0x34]);
        }
        body.extend(self.segment());

        bytes.extend([
            0x60 | self.traffic_class >> 4,
            self.traffic_class << 4,
            0,
            0,
        ]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend([numbers[0], 64]);
        bytes.extend(source);
        bytes.extend(destination);
        bytes.extend(body);
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
        let mut bytes = Vec::new();
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        let length = segment.len() + self.beyond.len();
        bytes.extend((length as u32).to_be_bytes());
        bytes.extend([0, 0, 0, self.protocol_number()]);
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
