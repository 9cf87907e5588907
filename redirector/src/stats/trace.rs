//! Traced packets, with the names of what they met.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use redirector_common::{
    Skip,
    abi::{ANY_ADDRESS, NO_RULE, Port, TRACE_REDIRECTED, TraceRecord},
};

use super::flows::address;
use crate::{
    config::Rule,
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
            clock: (monotonic(), SystemTime::now()),
        })
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

    pub fn rules(&self) -> Vec<String> {
        let mut rules: Vec<_> = self.rules.values().map(Rule::to_string).collect();
        rules.sort();
        rules
    }

    /// Whether nothing in the record is newer than these names.
    pub fn knows(&self, record: &TraceRecord) -> bool {
        let has_rule = record.rule != NO_RULE;
        (!has_rule || self.rules.contains_key(&record.rule))
            && self.interfaces.contains_key(&record.ifindex)
    }

    pub fn packet(&self, record: &TraceRecord) -> TracedPacket {
        let is_read = record.client != ANY_ADDRESS || record.local != ANY_ADDRESS;
        let protocol = match record.protocol {
            6 => Some("tcp"),
            17 => Some("udp"),
            0 => None,
            _ => Some("icmp"),
        };
        let has_ports = matches!(record.protocol, 6 | 17);
        let ports = |index: usize| {
            let [client, local] = [record.client_port, record.local_port].map(|both| both[index]);
            has_ports.then(|| (Port::get(client), Port::get(local)))
        };
        TracedPacket {
            time: self.time(record.time),
            interface: self
                .interfaces
                .get(&record.ifindex)
                .cloned()
                .unwrap_or_else(|| record.ifindex.to_string()),
            is_egress: record.is_egress != 0,
            protocol,
            addresses: is_read.then(|| (address(record.client), address(record.local))),
            before: ports(0),
            after: ports(1),
            bytes: record.bytes,
            flags: record.flags,
            rule: self.rules.get(&record.rule).cloned(),
            skipped: Skip::ALL
                .into_iter()
                .find(|skip| record.verdict != TRACE_REDIRECTED && *skip as u8 == record.verdict),
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
