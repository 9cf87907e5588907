use std::net::SocketAddr;

use super::super::log::digest;
use super::super::names::Names;
use super::{ICMPV6, Kind};
use crate::packet::{Datagram, ipv4, ipv6, pseudo_checksum_is_right, sum, word};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Whether the checksum is right, and what the message says; `None` for neighbour discovery,
/// multicast listeners and the like.
pub fn read(datagram: &Datagram, names: &Names) -> Option<(bool, Kind)> {
    let body = &datagram.body;
    let (header, rest) = body.split_at_checked(8)?;
    let [kind, code] = [header[0], header[1]];
    let is_v6 = datagram.protocol == ICMPV6;
    if is_v6 && matches!(kind, 130..=137 | 143) {
        return None;
    }
    let checksum_is_right = match is_v6 {
        true => pseudo_checksum_is_right(datagram),
        false => sum(body) == 0xffff,
    };
    let (is_error, has_mtu) = match is_v6 {
        true => (kind < 128, kind == 2),
        false => (matches!(kind, 3 | 4 | 5 | 11 | 12), (kind, code) == (3, 4)),
    };
    if !is_error {
        let line = format!("{kind}/{code} {}", digest(rest));
        return Some((checksum_is_right, Kind::Line(line)));
    }
    let mtu = match has_mtu {
        true => format!(" mtu {}", word(header, 6)?),
        false => String::new(),
    };
    let quote = if is_v6 { ipv6(rest) } else { ipv4(rest) };
    let quote = quote.map_or_else(|| "nothing".to_owned(), |quote| name(&quote, rest, names));
    let line = format!("{kind}/{code}{mtu} about {quote}");
    Some((checksum_is_right, Kind::Error(line)))
}

fn name(quote: &Datagram, bytes: &[u8], names: &Names) -> String {
    let ports = word(&quote.body, 0).zip(word(&quote.body, 2));
    let has_ports = quote.fragment.is_none_or(|fragment| fragment.offset == 0);
    let protocol = match quote.protocol {
        TCP => "tcp".to_owned(),
        UDP => "udp".to_owned(),
        number => format!("protocol {number}"),
    };
    match ports {
        Some((from, to)) if has_ports && [TCP, UDP].contains(&quote.protocol) => format!(
            "{} > {} {protocol}{}",
            names.address(SocketAddr::new(quote.source, from)),
            names.address(SocketAddr::new(quote.destination, to)),
            judge(quote, bytes),
        ),
        _ => format!(
            "{} > {} {protocol} without ports",
            names.host(quote.source),
            names.host(quote.destination)
        ),
    }
}

/// A packet that is quoted to its end can be judged.
fn judge(quote: &Datagram, bytes: &[u8]) -> &'static str {
    let length = match quote.source.is_ipv4() {
        true => word(bytes, 2).map(usize::from),
        false => word(bytes, 4).map(|length| usize::from(length) + 40),
    };
    let has_checksum = quote.protocol == TCP || word(&quote.body, 6) != Some(0);
    let is_whole = quote.fragment.is_none() && length == Some(bytes.len());
    if is_whole && has_checksum && !pseudo_checksum_is_right(quote) {
        " with a bad checksum"
    } else {
        ""
    }
}
