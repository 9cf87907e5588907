//! Traced packets, with the names of what they met.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    time::{Duration, SystemTime},
};

use redirector_common::{
    Direction, Skip, Told,
    abi::{NO_RULE, TraceRecord},
};

use super::flows::address;
use crate::{
    config::{Protocol, Rule},
    kernel::{Error, Instance, monotonic},
};

/// TCP's, from the lowest bit (RFC 9293 section 3.1).
pub const TCP_FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedPacket {
    pub time: SystemTime,
    pub interface: String,
    pub is_egress: bool,
    /// "tcp", "udp" or "icmp", for an error about one of them; `None` where it was not read that far.
    pub protocol: Option<&'static str>,
    /// Of the client and of this host; `None` likewise.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// The client's port and this host's, as it came and as it went on; `None` where it has none.
    pub before: Option<(u16, u16)>,
    pub after: Option<(u16, u16)>,
    /// From the network header onwards; 0 where it was not read that far.
    pub bytes: u32,
    /// A bit for each of [`TCP_FLAGS`].
    pub flags: u8,
    pub rule: Option<Rule>,
    /// Why it was left alone.
    pub skipped: Option<Skip>,
}

impl TracedPacket {
    pub fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        let flags = self.flags;
        let names = TCP_FLAGS.into_iter().enumerate();
        names.filter_map(move |(bit, name)| (flags & 1 << bit != 0).then_some(name))
    }
}

/// What the numbers in records stand for.
pub struct Names {
    interfaces: HashMap<u32, String>,
    rules: HashMap<u32, Rule>,
    /// Interfaces and rules that have gone.
    gone: HashSet<(u32, u32)>,
    /// The clock of the records against that of the host.
    clock: (u64, SystemTime),
}

impl Names {
    pub fn of(instance: &Instance) -> Result<Self, Error> {
        let loaded = instance.loaded()?;
        let interfaces = loaded.interfaces.into_iter();
        let rules = loaded.rules.into_iter();
        Ok(Self {
            interfaces: interfaces
                .map(|loaded| (loaded.interface.index, loaded.interface.name))
                .collect(),
            rules: rules.map(|loaded| (loaded.number, loaded.rule)).collect(),
            gone: HashSet::new(),
            clock: (monotonic(), SystemTime::now()),
        })
    }

    /// Reads them again for a record that they do not [know](Self::knows). Once: a connection outlives its
    /// rule, and its packets are many.
    pub fn update(&mut self, instance: &Instance, ifindex: u32, rule: u32) -> Result<(), Error> {
        let gone = std::mem::take(&mut self.gone);
        *self = Self {
            gone,
            ..Self::of(instance)?
        };
        if !self.knows(ifindex, rule) {
            self.gone.insert((ifindex, rule));
        }
        Ok(())
    }

    /// The number of the only rule that is shown like this, e.g. `80:8000/tcp`.
    pub fn rule_number(&self, text: &str) -> Option<u32> {
        let mut found = self
            .rules
            .iter()
            .filter(|(_, rule)| rule.to_string() == text);
        match (found.next(), found.next()) {
            (Some((number, _)), None) => Some(*number),
            _ => None,
        }
    }

    pub fn is_udp(&self, number: u32) -> bool {
        let rule = self.rules.get(&number);
        rule.is_some_and(|rule| rule.protocol == Protocol::Udp)
    }

    pub fn rules(&self) -> Vec<String> {
        let mut rules: Vec<_> = self.rules.values().map(Rule::to_string).collect();
        rules.sort();
        rules
    }

    /// Whether nothing in the record is newer than these names.
    pub fn knows(&self, ifindex: u32, rule: u32) -> bool {
        let has_names = (rule == NO_RULE || self.rules.contains_key(&rule))
            && self.interfaces.contains_key(&ifindex);
        has_names || self.gone.contains(&(ifindex, rule))
    }

    pub fn packet(&self, record: &TraceRecord, told: &Told) -> TracedPacket {
        let protocol = match told.protocol {
            6 => Some("tcp"),
            17 => Some("udp"),
            0 => None,
            _ => Some("icmp"),
        };
        let ports = |index: usize| {
            let [client, local] = [told.client_port, told.local_port].map(|both| both[index].get());
            told.has_ports().then_some((client, local))
        };
        let ifindex = record.ifindex as u32;
        let interface = self.interfaces.get(&ifindex).cloned();
        TracedPacket {
            time: self.time(record.time),
            interface: interface.unwrap_or_else(|| ifindex.to_string()),
            is_egress: told.direction == Direction::Egress,
            protocol,
            addresses: told
                .addresses
                .map(|(client, local)| (address(client), address(local))),
            before: ports(0),
            after: ports(1),
            bytes: told.bytes,
            flags: told.flags,
            rule: self.rules.get(&told.rule).cloned(),
            skipped: told.skipped,
        }
    }

    fn time(&self, monotonic: u64) -> SystemTime {
        let (then, time) = self.clock;
        if monotonic >= then {
            time + Duration::from_nanos(monotonic - then)
        } else {
            time - Duration::from_nanos(then - monotonic)
        }
    }
}
