//! Whose a key is, besides the network namespace's.

use std::{fs, os::unix::fs::MetadataExt};

use crate::config::Key;

/// Kinds of namespaces that have keys of their own, with the inode of the host's one
/// (`linux/proc_ns.h`), and how the names of their keys begin.
const KINDS: [(&str, u64, &[&str]); 4] = [
    (
        "ipc",
        0xefff_ffff,
        &[
            "fs/mqueue/",
            "kernel/auto_msgmni",
            "kernel/msg",
            "kernel/sem",
            "kernel/shm",
        ],
    ),
    (
        "uts",
        0xefff_fffe,
        &["kernel/domainname", "kernel/hostname"],
    ),
    ("user", 0xefff_fffd, &["user/"]),
    (
        "pid",
        0xefff_fffc,
        &["kernel/ns_last_pid", "kernel/pid_max"],
    ),
];

/// Keys that change another one, whose value of before nobody remembers.
const COUPLED: [(&str, &str); 13] = [
    ("net/ipv4/ip_forward", "net.ipv4.conf.*.forwarding"),
    ("net/ipv4/conf/all/forwarding", "net.ipv4.conf.*.forwarding"),
    (
        "net/ipv6/conf/all/addr_gen_mode",
        "net.ipv6.conf.*.addr_gen_mode",
    ),
    (
        "net/ipv6/conf/all/disable_ipv6",
        "net.ipv6.conf.*.disable_ipv6",
    ),
    (
        "net/ipv6/conf/all/force_forwarding",
        "net.ipv6.conf.*.force_forwarding",
    ),
    ("net/ipv6/conf/all/forwarding", "net.ipv6.conf.*.forwarding"),
    (
        "net/ipv6/conf/all/ignore_routes_with_linkdown",
        "net.ipv6.conf.*.ignore_routes_with_linkdown",
    ),
    ("vm/dirty_background_bytes", "vm.dirty_background_ratio"),
    ("vm/dirty_background_ratio", "vm.dirty_background_bytes"),
    ("vm/dirty_bytes", "vm.dirty_ratio"),
    ("vm/dirty_ratio", "vm.dirty_bytes"),
    ("vm/overcommit_kbytes", "vm.overcommit_ratio"),
    ("vm/overcommit_ratio", "vm.overcommit_kbytes"),
];

/// Why a key cannot be tuned from here: the journal knows no namespaces but those of the network.
pub fn out_of_reach(key: &Key) -> Option<String> {
    let is_of = |names: &[&str]| names.iter().any(|name| key.path().starts_with(name));
    let (kind, host, _) = KINDS.iter().find(|(.., names)| is_of(names))?;
    // A kernel without that kind has no such file.
    let own = fs::metadata(format!("/proc/self/ns/{kind}")).ok()?;
    (own.ino() != *host).then(|| format!("another {kind} namespace than the host's"))
}

/// Keys of each interface that show another one in coarser units.
const COARSE: [(&str, &str); 3] = [
    ("base_reachable_time", "its base_reachable_time_ms"),
    ("retrans_time", "its retrans_time_ms"),
    ("unres_qlen", "its unres_qlen_bytes"),
];

/// What is changed with this key.
pub fn coupled(key: &Key) -> Option<&'static str> {
    let path = key.path();
    let is_of_neighbours = ["net/ipv4/neigh/", "net/ipv6/neigh/"]
        .iter()
        .any(|above| path.starts_with(above));
    let coarse = COARSE.iter().filter(|_| is_of_neighbours);
    let mut coarse = coarse.filter(|(name, _)| path.rsplit('/').next() == Some(name));
    let mut coupled = COUPLED.iter().filter(|(name, _)| *name == path);
    let (_, other) = coupled.next().or_else(|| coarse.next())?;
    Some(other)
}
