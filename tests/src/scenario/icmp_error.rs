use std::net::IpAddr;

use super::Family;
use crate::packet::sum;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// RFC 4884 section 3: a quote before an extension has this many bytes or more.
const SHORTEST_EXTENDED: usize = 128;

/// An error of ICMP or ICMPv6 about a packet, as a host or a router on the way would send it.
#[derive(Clone, Debug)]
pub struct IcmpError {
    pub from: IpAddr,
    pub to: IpAddr,
    pub complaint: Complaint,
    /// From the IP header onwards.
    pub quote: Vec<u8>,
    /// With a stack of MPLS labels behind the quote (RFC 4884, RFC 4950).
    pub extended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    PortUnreachable,
    HostUnreachable,
    Prohibited,
    TimeExceeded,
    ParameterProblem,
    /// For the way's MTU.
    TooBig(u16),
}

impl Complaint {
    /// All but [`TooBig`](Self::TooBig).
    pub const ALL: [Self; 5] = [
        Self::PortUnreachable,
        Self::HostUnreachable,
        Self::Prohibited,
        Self::TimeExceeded,
        Self::ParameterProblem,
    ];

    /// What the kernel makes of it: `icmp_err_convert` in `net/ipv4/icmp.c`, and
    /// `icmpv6_err_convert()` in `net/ipv6/icmp.c`.
    pub fn errno(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::PortUnreachable, _) => "ECONNREFUSED",
            (Self::Prohibited, Family::V6) => "EACCES",
            (Self::HostUnreachable | Self::Prohibited | Self::TimeExceeded, _) => "EHOSTUNREACH",
            (Self::ParameterProblem, _) => "EPROTO",
            (Self::TooBig(_), _) => "EMSGSIZE",
        }
    }

    fn kind_and_code(self, is_v4: bool) -> [u8; 2] {
        match (self, is_v4) {
            (Self::PortUnreachable, true) => [3, 3],
            (Self::HostUnreachable, true) => [3, 1],
            (Self::Prohibited, true) => [3, 13],
            (Self::TooBig(_), true) => [3, 4],
            (Self::TimeExceeded, true) => [11, 0],
            (Self::ParameterProblem, true) => [12, 0],
            (Self::PortUnreachable, false) => [1, 4],
            (Self::HostUnreachable, false) => [1, 3],
            (Self::Prohibited, false) => [1, 1],
            (Self::TooBig(_), false) => [2, 0],
            (Self::TimeExceeded, false) => [3, 0],
            (Self::ParameterProblem, false) => [4, 0],
        }
    }
}

impl IcmpError {
    /// A frame from its EtherType onwards, all checksums right.
    pub fn bytes(&self) -> Vec<u8> {
        let message = self.message();
        let mut bytes = Vec::new();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                bytes.extend([0x08, 0x00]);
                let mut header = vec![0x45, 0];
                header.extend(short(20 + message.len()));
                header.extend([0x43, 0x21, 0, 0, 64, ICMP, 0, 0]);
                header.extend(from.octets());
                header.extend(to.octets());
                let checksum = !sum(&header);
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                bytes.extend(header);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                bytes.extend(short(message.len()));
                bytes.extend([ICMPV6, 64]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
            }
            families => panic!("{families:?} do not go together"),
        }
        bytes.extend(message);
        bytes
    }

    fn message(&self) -> Vec<u8> {
        let mut message = Vec::from(self.complaint.kind_and_code(self.from.is_ipv4()));
        message.extend([0; 4]);
        let mtu = match self.complaint {
            Complaint::TooBig(mtu) => mtu,
            _ => 0,
        };
        message.extend(mtu.to_be_bytes());
        let mut quote = self.quote.clone();
        if self.extended {
            let (unit, length_at) = if self.from.is_ipv4() { (4, 5) } else { (8, 4) };
            quote.resize(quote.len().next_multiple_of(unit).max(SHORTEST_EXTENDED), 0);
            message[length_at] = u8::try_from(quote.len() / unit).expect("a short quote");
            quote.extend(label_stack());
        }
        message.extend(quote);
        let checksum = match (self.from, self.to) {
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let length = short(message.len());
                let pseudo = [&from.octets()[..], &to.octets(), &length, &[0, ICMPV6]].concat();
                !sum(&[&pseudo, &message[..]].concat())
            }
            _ => !sum(&message),
        };
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        message
    }
}

/// The beginning of a packet: its IP header without options, and 8 bytes.
pub fn cut(mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(header_length(&packet) + 8);
    packet
}

/// The packet as it would be with IPv4 options, or with an IPv6 header of destination options.
pub fn with_options(mut packet: Vec<u8>) -> Vec<u8> {
    const NO_OPERATIONS: [u8; 8] = [1; 8];
    const DESTINATION_OPTIONS: u8 = 60;
    let added = u16::try_from(NO_OPERATIONS.len()).expect("a few bytes");
    let header_length = header_length(&packet);
    if header_length == 20 {
        packet[0] += 2;
        lengthen(&mut packet[2..4], added);
        packet.splice(20..20, NO_OPERATIONS);
        packet[10..12].fill(0);
        let checksum = !sum(&packet[..28]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        lengthen(&mut packet[4..6], added);
        let next = std::mem::replace(&mut packet[6], DESTINATION_OPTIONS);
        // PadN of 4 bytes.
        packet.splice(40..40, [next, 0, 1, 4, 0, 0, 0, 0]);
    }
    packet
}

fn header_length(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { 20 } else { 40 }
}

fn lengthen(field: &mut [u8], by: u16) {
    let length = u16::from_be_bytes([field[0], field[1]]) + by;
    field.copy_from_slice(&length.to_be_bytes());
}

/// RFC 4884 section 7, RFC 4950 section 3.
fn label_stack() -> Vec<u8> {
    let mut structure = vec![0x20, 0, 0, 0, 0, 8, 1, 1, 0x12, 0x34, 0x51, 0x40];
    let checksum = !sum(&structure);
    structure[2..4].copy_from_slice(&checksum.to_be_bytes());
    structure
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("a short packet").to_be_bytes()
}
