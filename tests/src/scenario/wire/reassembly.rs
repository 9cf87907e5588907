use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::packet::Datagram;

/// Puts fragments together; knows nothing of the kernel's limits.
#[derive(Default)]
pub struct Reassembly(BTreeMap<(IpAddr, IpAddr, u32), Vec<Datagram>>);

/// A datagram as its sender had it.
pub struct Whole {
    pub datagram: Datagram,
    fragments: usize,
}

impl Whole {
    /// `, in 6 fragments`, or nothing.
    pub fn note(&self) -> String {
        match self.fragments {
            0 => String::new(),
            count => format!(", in {count} fragments"),
        }
    }
}

impl Reassembly {
    /// A datagram that is whole by now.
    pub fn add(&mut self, datagram: Datagram) -> Option<Whole> {
        let Some(fragment) = datagram.fragment else {
            return Some(Whole {
                datagram,
                fragments: 0,
            });
        };
        let key = (
            datagram.source,
            datagram.destination,
            fragment.identification,
        );
        let parts = self.0.entry(key).or_default();
        parts.push(datagram);
        let whole = join(parts)?;
        self.0.remove(&key);
        Some(whole)
    }

    /// Sender and receiver, and a line for each datagram that never became whole.
    pub fn incomplete(self) -> Vec<((IpAddr, IpAddr), String)> {
        let line = |parts: Vec<Datagram>| {
            let bytes: usize = parts.iter().map(|part| part.body.len()).sum();
            format!(
                "{bytes} bytes of a datagram, {} fragments only",
                parts.len()
            )
        };
        self.0
            .into_iter()
            .map(|((from, to, _), parts)| ((from, to), line(parts)))
            .collect()
    }
}

fn join(parts: &[Datagram]) -> Option<Whole> {
    let mut sorted: Vec<_> = parts
        .iter()
        .filter_map(|part| Some((part.fragment?, part)))
        .collect();
    sorted.sort_by_key(|(fragment, _)| fragment.offset);
    sorted.dedup_by_key(|(fragment, _)| fragment.offset);
    let mut body = Vec::new();
    for (fragment, part) in &sorted {
        if fragment.offset != body.len() {
            return None;
        }
        body.extend(&part.body);
    }
    let (last, _) = sorted.last()?;
    let (_, first) = sorted.first()?;
    (!last.more).then(|| Whole {
        datagram: Datagram {
            body,
            fragment: None,
            checksum_is_right: parts.iter().all(|part| part.checksum_is_right),
            ..(*first).clone()
        },
        fragments: sorted.len(),
    })
}
