//! What goes around a transport header: link layer and IP header.

use std::{net::IpAddr, vec::Vec};

use super::{Extension, Fragment, sum};
use crate::{LinkLayer, native::Frame};

/// A packet without its transport layer; the fields are those of [`super::Craft`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub link_layer: LinkLayer,
    pub tags: Vec<u16>,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub options: Vec<u8>,
    pub extensions: Vec<Extension>,
    pub fragment: Option<Fragment>,
    pub traffic_class: u8,
}

impl Envelope {
    /// Plain IP over Ethernet.
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            link_layer: LinkLayer::Ethernet,
            tags: Vec::new(),
            source,
            destination,
            options: Vec::new(),
            extensions: Vec::new(),
            fragment: None,
            traffic_class: 0,
        }
    }

    /// With a transport header and what follows it.
    pub fn frame(&self, protocol: u8, body: &[u8]) -> Frame {
        let mut bytes = self.link();
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let addresses = [source.octets(), destination.octets()];
                self.ipv4(&mut bytes, addresses, protocol, body);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let addresses = [source.octets(), destination.octets()];
                self.ipv6(&mut bytes, addresses, protocol, body);
            }
            families => panic!("{families:?} do not go together"),
        }
        Frame {
            bytes,
            link_layer: self.link_layer,
            other_host: false,
            mark: 0,
        }
    }

    /// Bytes from the start of the packet to the network header.
    pub fn network(&self) -> usize {
        self.link().len()
    }

    /// Bytes from the start of the packet to the transport header.
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

    /// The pseudo header of RFC 8200 section 8.1, whose sum is that of RFC 9293's too.
    pub fn pseudo_header(&self, protocol: u8, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        bytes.extend((length as u32).to_be_bytes());
        bytes.extend([0, 0, 0, protocol]);
        bytes
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
    fn ipv4(&self, bytes: &mut Vec<u8>, addresses: [[u8; 4]; 2], protocol: u8, body: &[u8]) {
        let words = 5 + self.options.len() / 4;
        let total = words * 4 + body.len();
        let mut header = Vec::from([0x40 | words as u8, self.traffic_class]);
        header.extend((total as u16).to_be_bytes());
        header.extend([0x12, 0x34]);
        let fragment = self.fragment.map_or(0, |fragment| {
            fragment.offset & 0x1fff | u16::from(fragment.more) << 13
        });
        header.extend(fragment.to_be_bytes());
        header.extend([64, protocol, 0, 0]);
        header.extend(addresses.as_flattened());
        header.extend(&self.options);
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend(header);
        bytes.extend(body);
    }

    /// RFC 8200 sections 3 and 4.
    fn ipv6(&self, bytes: &mut Vec<u8>, addresses: [[u8; 16]; 2], protocol: u8, body: &[u8]) {
        const FRAGMENT: u8 = 44;
        let mut numbers: Vec<u8> = self.extensions.iter().map(|each| each.number).collect();
        numbers.extend(self.fragment.map(|_| FRAGMENT));
        numbers.push(protocol);

        let mut payload = Vec::new();
        for (extension, next) in self.extensions.iter().zip(&numbers[1..]) {
            payload.extend([*next, extension.units]);
            // Pad1 options, or an unknown routing type without segments left.
            payload.resize(payload.len() + 6 + 8 * usize::from(extension.units), 0);
        }
        if let Some(fragment) = self.fragment {
            // The second byte is reserved and ignored.
            payload.extend([protocol, 0x99]);
            payload.extend((fragment.offset << 3 | u16::from(fragment.more)).to_be_bytes());
            payload.extend([0, 0, 0x12, 0x34]);
        }
        payload.extend(body);

        bytes.extend([
            0x60 | self.traffic_class >> 4,
            self.traffic_class << 4,
            0,
            0,
        ]);
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([numbers[0], 64]);
        bytes.extend(addresses.as_flattened());
        bytes.extend(payload);
    }
}
