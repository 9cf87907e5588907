//! Whether a packet meets a condition: yes, no, or perhaps.

use std::net::IpAddr;

use super::ruleset::{Field, Match, Step, Value};
use crate::config::Protocol;

#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub ipv6: bool,
    pub protocol: Protocol,
    pub port: u16,
    pub interface: &'a str,
    /// The local address it is for, if the rule names one.
    pub destination: Option<IpAddr>,
    /// Where it comes from, if that is known.
    pub source: Option<IpAddr>,
    /// The addresses of this host; none where they are not known.
    pub locals: &'a [IpAddr],
    pub way: Way,
}

impl Packet<'_> {
    /// Whether no address of this host is within. What was sent to none of them is nothing of ours.
    fn is_elsewhere(&self, prefix: IpAddr, length: u8) -> bool {
        !self.locals.is_empty()
            && !self
                .locals
                .iter()
                .any(|local| within(*local, prefix, length))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The first packet of a connection, to a port of this host.
    In,
    /// A later one, which conntrack takes for part of none.
    Later,
    /// An answer by the interface, of which conntrack knows no connection.
    Out,
    /// The first packet of a connection of this host to itself, as it leaves by the interface.
    Own {
        /// Its source is the one that masquerading would choose.
        stays: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tri {
    Yes,
    No,
    /// Cannot be known; most packets will see this.
    Perhaps {
        usually: bool,
    },
}

impl Tri {
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, x) | (x, Self::Yes) => x,
            (Self::Perhaps { usually: a }, Self::Perhaps { usually: b }) => {
                Self::Perhaps { usually: a && b }
            }
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    pub const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Perhaps { usually } => Self::Perhaps { usually: !usually },
        }
    }
}

impl From<bool> for Tri {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// Whether the rule could apply to the packet, looking at its conditions alone.
pub fn may_apply(steps: &[Step], packet: &Packet<'_>) -> bool {
    steps
        .iter()
        .all(|step| !matches!(step, Step::Match(m) if matched(m, packet) == Tri::No))
}

pub fn matched(m: &Match, packet: &Packet<'_>) -> Tri {
    let mut any = Tri::No;
    for value in &m.values {
        any = any.or(fits(&m.key, value, packet));
        if any == Tri::Yes {
            break;
        }
    }
    if m.negated { any.not() } else { any }
}

pub fn fits(key: &[Field], values: &[Value], packet: &Packet<'_>) -> Tri {
    if key.len() != values.len() {
        return Tri::Perhaps { usually: false };
    }
    key.iter()
        .zip(values)
        .fold(Tri::Yes, |all, (field, value)| {
            all.and(fits_one(*field, value, packet))
        })
}

fn fits_one(field: Field, value: &Value, packet: &Packet<'_>) -> Tri {
    const UNKNOWN: Tri = Tri::Perhaps { usually: false };
    match (field, value) {
        (_, Value::Any) => Tri::Yes,
        (Field::Port | Field::OriginalPort, _) if packet.way == Way::Out => UNKNOWN,
        (Field::Interface, _) if matches!(packet.way, Way::Out | Way::Own { .. }) => Tri::No,
        (Field::OutInterface, _) if matches!(packet.way, Way::In | Way::Later) => UNKNOWN,
        (Field::Port | Field::OriginalPort, Value::Number(n)) => {
            (*n == u64::from(packet.port)).into()
        }
        (Field::Port | Field::OriginalPort, Value::Range(low, high)) => {
            (*low..=*high).contains(&packet.port.into()).into()
        }
        (Field::Protocol, Value::Name(name)) => (*name == packet.protocol.to_string()).into(),
        (Field::Protocol, Value::Number(n)) => (*n == number(packet.protocol)).into(),
        (Field::Version, Value::Name(name)) => match name.as_str() {
            "ip" | "ipv4" => (!packet.ipv6).into(),
            "ip6" | "ipv6" => packet.ipv6.into(),
            _ => Tri::No,
        },
        (Field::Interface | Field::OutInterface, Value::Name(pattern)) => {
            named(pattern, packet.interface).into()
        }
        (Field::Source, Value::Prefix(..)) if from_afar(value, packet) => Tri::No,
        (Field::Source, Value::Prefix(prefix, length)) => packet
            .source
            .map_or(UNKNOWN, |address| within(address, *prefix, *length).into()),
        (Field::Destination, Value::Prefix(prefix, length)) => match packet.destination {
            Some(address) => within(address, *prefix, *length).into(),
            None if from_afar(value, packet) || prefix.is_multicast() || is_broadcast(*prefix) => {
                Tri::No
            }
            None if *length == 0 => (prefix.is_ipv6() == packet.ipv6).into(),
            None if packet.is_elsewhere(*prefix, *length) => Tri::No,
            None => UNKNOWN,
        },
        (Field::DestinationType, Value::Name(name)) => (name == "local").into(),
        (Field::PacketType, Value::Name(name)) => {
            matches!(name.as_str(), "host" | "unicast").into()
        }
        (Field::ConnectionState, Value::Name(name)) => match packet.way {
            Way::In | Way::Own { .. } => (name == "new").into(),
            Way::Later | Way::Out => (name == "invalid").into(),
        },
        (Field::ConnectionStatus, Value::Name(_)) => Tri::No,
        // An answer to a SYN has more flags, and what comes after it others.
        (Field::LoneSyn, Value::Number(_)) if matches!(packet.way, Way::Later | Way::Out) => {
            UNKNOWN
        }
        (Field::LoneSyn, Value::Number(holds)) => (*holds != 0).into(),
        (Field::ConnectionDirection, Value::Name(name)) => (name == "original").into(),
        _ => UNKNOWN,
    }
}

const fn number(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

fn named(pattern: &str, interface: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == interface, |start| interface.starts_with(start))
}

/// A loopback address on a packet that did not come over loopback.
fn from_afar(value: &Value, packet: &Packet<'_>) -> bool {
    matches!(value, Value::Prefix(address, 8..) if address.is_loopback())
        && packet.interface != "lo"
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

fn within(address: IpAddr, prefix: IpAddr, length: u8) -> bool {
    let bits = |address| match address {
        IpAddr::V4(v4) => (32, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, u128::from(v6)),
    };
    let ((width, a), (other, b)) = (bits(address), bits(prefix));
    width == other && (length == 0 || (a ^ b) >> (width - u32::from(length).min(width)) == 0)
}
