//! ICMP (RFC 792) and ICMPv6 (RFC 4443) errors about packets, with the extensions of RFC 4884.

use std::{net::IpAddr, vec::Vec};

use super::{Craft, Envelope, sum};
use crate::native::Frame;

/// An error about a packet, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Of the same family as what is quoted.
    pub outer: Envelope,
    pub kind: u8,
    pub code: u8,
    /// The header's second word, such as an MTU or a pointer; without the length of RFC 4884.
    pub parameter: u32,
    pub quoted: Craft,
    /// Bytes of it from its network header on; all of it where it has fewer.
    pub quote_length: usize,
    /// What follows the quote in the extension structure of RFC 4884.
    pub extension: Option<Vec<u8>>,
}

impl IcmpError {
    /// "Port unreachable" with 8 bytes of transport header, to the sender of the packet.
    pub fn port_unreachable(source: IpAddr, quoted: Craft) -> Self {
        let (kind, code) = match source {
            IpAddr::V4(_) => (3, 3),
            IpAddr::V6(_) => (1, 4),
        };
        Self {
            outer: Envelope::new(source, quoted.source),
            kind,
            code,
            parameter: 0,
            quote_length: quoted.transport() - quoted.network() + 8,
            quoted,
            extension: None,
        }
    }

    /// Whatever type and addresses say, the checksum is right.
    pub fn frame(&self) -> Frame {
        let mut message = Vec::from([self.kind, self.code, 0, 0]);
        message.extend(self.parameter.to_be_bytes());
        message.extend(self.quote());
        if let Some(objects) = &self.extension {
            let (words, at) = match self.outer.source {
                IpAddr::V4(_) => ((message.len() - HEADER).div_ceil(4), 5),
                IpAddr::V6(_) => ((message.len() - HEADER).div_ceil(8), 4),
            };
            message[at] = words as u8;
            message.extend(structure(objects));
        }
        let (protocol, mut summed) = match self.outer.source {
            IpAddr::V4(_) => (1, Vec::new()),
            // RFC 4443 section 2.3
            IpAddr::V6(_) => (58, self.outer.pseudo_header(58, message.len())),
        };
        summed.extend(&message);
        message[2..4].copy_from_slice(&(!sum(&summed)).to_be_bytes());
        self.outer.frame(protocol, &message)
    }

    /// Bytes from the start of the packet to the ICMP header.
    pub fn message_at(&self) -> usize {
        self.outer.transport()
    }

    /// Bytes from the start of the packet to the quoted network header.
    pub fn quote_at(&self) -> usize {
        self.message_at() + HEADER
    }

    /// Bytes from the start of the packet to the quoted ports.
    pub fn ports_at(&self) -> usize {
        self.quote_at() + self.quoted.transport() - self.quoted.network()
    }

    fn quote(&self) -> Vec<u8> {
        let mut quote = self.quoted.frame().bytes.split_off(self.quoted.network());
        quote.truncate(self.quote_length);
        if self.extension.is_some() {
            let unit = if self.outer.source.is_ipv4() { 4 } else { 8 };
            let padded = quote.len().next_multiple_of(unit).max(SHORTEST_EXTENDED);
            quote.resize(padded, 0);
        }
        quote
    }
}

/// Of both versions.
const HEADER: usize = 8;

/// RFC 4884 section 3: a quote that is followed by an extension structure has 128 bytes or more.
const SHORTEST_EXTENDED: usize = 128;

/// RFC 4884 section 7.
fn structure(objects: &[u8]) -> Vec<u8> {
    let mut structure = Vec::from([0x20, 0, 0, 0]);
    structure.extend(objects);
    let checksum = !sum(&structure);
    structure[2..4].copy_from_slice(&checksum.to_be_bytes());
    structure
}
