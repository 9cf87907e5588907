use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{RuleDocument, SCHEMA};
use crate::stats::trace::TracedPacket;

/// One packet, a document a line.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    pub schema: u32,
    /// RFC 3339, in microseconds.
    pub time: String,
    pub interface: String,
    /// "in" or "out".
    pub direction: &'static str,
    /// "tcp", "udp", or "icmp" for an error about one of them; null where the packet was not read that far.
    pub protocol: Option<&'static str>,
    /// null likewise.
    pub client: Option<IpAddr>,
    /// The local address; null likewise.
    pub address: Option<IpAddr>,
    /// The ports as the packet came; null where it has none.
    pub before: Option<Ports>,
    /// The ports as it went on.
    pub after: Option<Ports>,
    /// From the network header onwards; 0 where the packet was not read that far.
    pub bytes: u32,
    /// Names of TCP flags.
    pub flags: Vec<&'static str>,
    /// null for a packet of no rule that is loaded.
    pub rule: Option<RuleDocument>,
    /// "redirected" or "skipped".
    pub verdict: &'static str,
    /// Why it was skipped; null if it was not.
    pub reason: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ports {
    pub client: u16,
    pub local: u16,
}

/// Between the packets: how many could not be told since the trace began.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LostDocument {
    pub schema: u32,
    pub lost: u64,
}

impl LostDocument {
    pub fn new(lost: u64) -> Self {
        Self {
            schema: SCHEMA,
            lost,
        }
    }
}

impl From<&TracedPacket> for Document {
    fn from(packet: &TracedPacket) -> Self {
        let ports = |(client, local)| Ports { client, local };
        Self {
            schema: SCHEMA,
            time: time(packet),
            interface: packet.interface.clone(),
            direction: direction(packet),
            protocol: packet.protocol,
            client: packet.addresses.map(|(client, _)| client),
            address: packet.addresses.map(|(_, local)| local),
            before: packet.before.map(ports),
            after: packet.after.map(ports),
            bytes: packet.bytes,
            flags: packet.flag_names().collect(),
            rule: packet.rule.as_ref().map(RuleDocument::from),
            verdict: if packet.skipped.is_some() {
                "skipped"
            } else {
                "redirected"
            },
            reason: packet.skipped.map(|skip| skip.name()),
        }
    }
}

/// The same for people, e.g. `… eth0 in tcp 192.0.2.7:40112 > 192.0.2.1:80, now 8000, 60 bytes SYN`.
pub fn text(packet: &TracedPacket) -> String {
    let mut words = vec![
        time(packet),
        packet.interface.clone(),
        format!("{:3}", direction(packet)),
    ];
    words.extend(packet.protocol.map(str::to_owned));
    if let Some((client, local)) = packet.addresses {
        let [from, to] = if packet.is_egress {
            [
                end(local, packet.before.map(|ports| ports.1)),
                end(client, packet.before.map(|ports| ports.0)),
            ]
        } else {
            [
                end(client, packet.before.map(|ports| ports.0)),
                end(local, packet.before.map(|ports| ports.1)),
            ]
        };
        words.push(format!("{from} > {to}"));
    }
    if packet.bytes > 0 {
        words.push(format!("{} bytes", packet.bytes));
    }
    let flags: Vec<_> = packet.flag_names().collect();
    if !flags.is_empty() {
        words.push(flags.join(","));
    }
    format!("{}: {}\n", words.join(" "), verdict(packet))
}

fn verdict(packet: &TracedPacket) -> String {
    if let Some(skip) = packet.skipped {
        return format!("skipped, {}", skip.name());
    }
    let mut text = match (packet.before, packet.after) {
        (Some((_, before)), Some((_, after))) => format!("port {before} to {after}"),
        _ => "the ports in its quote".to_owned(),
    };
    if let (Some((before, _)), Some((after, _))) = (packet.before, packet.after)
        && before != after
    {
        text += &format!(", the client's {before} to {after}");
    }
    if let Some(rule) = &packet.rule {
        text += &format!(" by {rule}");
    }
    text
}

fn end(address: IpAddr, port: Option<u16>) -> String {
    match port {
        Some(port) => SocketAddr::from((address, port)).to_string(),
        None => address.to_string(),
    }
}

fn direction(packet: &TracedPacket) -> &'static str {
    if packet.is_egress { "out" } else { "in" }
}

fn time(packet: &TracedPacket) -> String {
    humantime::format_rfc3339_micros(packet.time).to_string()
}
