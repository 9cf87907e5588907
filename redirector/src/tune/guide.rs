//! The keys of the deploy guide, and what is to be said about its others.

use crate::config::Key;

/// One line of the guide.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub key: &'static str,
    pub value: &'static str,
    pub why: &'static str,
}

/// In the guide's order.
pub const KEYS: [Entry; 9] = [
    entry(
        "net.core.rmem_max",
        "16777216",
        "the most that SO_RCVBUF may ask for, in bytes",
    ),
    entry(
        "net.core.wmem_max",
        "16777216",
        "the most that SO_SNDBUF may ask for, in bytes",
    ),
    entry(
        "net.ipv4.tcp_rmem",
        "4096 87380 16777216",
        "receive buffer of a connection in bytes: least, at first, most",
    ),
    entry(
        "net.ipv4.tcp_wmem",
        "4096 65536 16777216",
        "send buffer of a connection in bytes: least, at first, most",
    ),
    entry(
        "net.ipv4.tcp_mem",
        "50576 64768 98152",
        "pages that all connections together may take; the kernel sizes it by memory at boot",
    ),
    entry(
        "net.core.netdev_max_backlog",
        "2048",
        "packets that a CPU may queue before they are processed",
    ),
    entry(
        "net.core.somaxconn",
        "1024",
        "the most that a listener's backlog may be",
    ),
    entry(
        "net.ipv4.tcp_max_syn_backlog",
        "2048",
        "half-open connections that a listener may remember",
    ),
    entry(
        "net.ipv4.tcp_syncookies",
        "1",
        "answer with cookies when that is not enough",
    ),
];

/// The backlog that the guide wants to be possible.
pub fn somaxconn() -> u32 {
    let entry = KEYS.iter().find(|entry| entry.key == "net.core.somaxconn");
    entry
        .and_then(|entry| entry.value.parse().ok())
        .unwrap_or(0)
}

/// Whether the guide has it, and so every kernel.
pub fn is_known(key: &Key) -> bool {
    KEYS.iter().any(|entry| entry.key == key.to_string())
}

/// What a key of guides is about that does not help a server, or that is no more.
pub fn remark(key: &Key) -> Option<&'static str> {
    let (_, remark) = REMARKS.iter().find(|(name, _)| *name == key.path())?;
    Some(remark)
}

/// Whether its two numbers are the ends of a range, of which the wider one is more.
pub fn is_range(key: &Key) -> bool {
    RANGES.contains(&key.path())
}

/// Whether it is a set of ports, of which the larger one is more.
pub fn is_port_set(key: &Key) -> bool {
    key.path() == "net/ipv4/ip_local_reserved_ports"
}

const RANGES: [&str; 2] = ["net/ipv4/ip_local_port_range", "net/ipv4/ping_group_range"];

const REMARKS: [(&str, &str); 6] = [
    (
        "net/ipv4/tcp_tw_recycle",
        "removed in Linux 4.12: it cut clients behind a shared address",
    ),
    (
        "net/ipv4/tcp_tw_reuse",
        "for connections that this host opens, not for those it accepts",
    ),
    (
        "net/ipv4/ip_local_port_range",
        "for connections that this host opens, not for those it accepts",
    ),
    ("net/ipv4/tcp_timestamps", "on by default, and best left so"),
    (
        "net/ipv4/tcp_low_latency",
        "without effect since Linux 4.14",
    ),
    (
        "net/netfilter/nf_conntrack_max",
        "of netfilter's connection tracking; the redirector needs none",
    ),
];

const fn entry(key: &'static str, value: &'static str, why: &'static str) -> Entry {
    Entry { key, value, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value;

    #[test]
    fn every_line_is_a_key_and_a_value() {
        for entry in KEYS {
            assert_eq!(entry.key.parse::<Key>().unwrap().to_string(), entry.key);
            assert_eq!(
                entry.value.parse::<Value>().unwrap().to_string(),
                entry.value
            );
        }
        for (path, _) in REMARKS {
            let key: Key = path.parse().unwrap();
            assert!(remark(&key).is_some(), "{key}");
        }
    }
}
