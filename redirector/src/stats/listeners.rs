//! The accept queues behind the rules, and what their network namespace could not take.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    net::IpAddr,
    time::Instant,
};

use crate::{
    config::{Port, Protocol, Rule},
    holders::{Holder, Holders},
    kernel,
};

/// Not /proc/net, which is of the namespace of the process's first thread.
const NETSTAT: &str = "/proc/thread-self/net/netstat";
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

/// What a kernel has as `somaxconn` if nobody sets it: up to 5.3, and since.
const DEFAULTS: [u32; 2] = [128, 4096];

/// At one moment.
#[derive(Clone, Debug)]
pub struct Listening {
    pub listeners: Vec<Listener>,
    /// Since the network namespace was made, all listeners of it together.
    pub counters: Counters,
    /// Since an earlier moment.
    pub per_second: Option<Counters<f64>>,
    /// The most that a backlog may be, for those who begin to listen now.
    pub somaxconn: u32,
    at: Instant,
    holders: Holders,
}

/// A listening TCP socket. Counts of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub address: IpAddr,
    pub port: u16,
    /// The one with the lowest process id of those that hold it; `None` if it may not be seen.
    pub process: Option<Holder>,
    /// What the application passed to listen(2); `None` where that may have been more than it got.
    pub asked: Option<u32>,
    /// The backlog in force.
    pub limit: u32,
    /// Established and not yet accepted.
    pub depth: u32,
    /// Dropped here for want of room or memory; `None` where the kernel does not tell.
    pub drops: Option<u32>,
}

/// Of `TcpExt` in `/proc/net/netstat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Counters<T = u64> {
    /// Connections that found a backlog full (`ListenOverflows`).
    pub overflows: T,
    /// Those and all others that a listener dropped (`ListenDrops`).
    pub drops: T,
    pub syncookies_sent: T,
    pub syncookies_received: T,
    pub syncookies_failed: T,
}

/// What is known of the past and wanted of the future.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// What `somaxconn` was before it was tuned.
    pub earlier: Option<u32>,
    /// What it should be at least.
    pub wanted: u32,
}

impl Listening {
    /// Of the calling thread's network namespace. Whoever held a socket at the earlier moment is not
    /// looked for again.
    pub fn read<'a>(
        rules: impl IntoIterator<Item = &'a Rule>,
        bounds: &Bounds,
        before: Option<&Self>,
    ) -> io::Result<Self> {
        let targets = rules
            .into_iter()
            .filter(|rule| rule.protocol == Protocol::Tcp)
            .map(|rule| (rule.to, rule.address));
        Self::of(&targets.collect(), bounds, before)
    }

    /// The same for ports, with the address that must be served, if it is one.
    pub fn of(
        targets: &BTreeSet<(Port, Option<IpAddr>)>,
        bounds: &Bounds,
        before: Option<&Self>,
    ) -> io::Result<Self> {
        let mut sockets = kernel::listeners()?;
        sockets.retain(|socket| {
            let own = socket.address.ip();
            let serves = |address: IpAddr| own.is_unspecified() || own == address;
            let mut targets = targets.iter();
            targets.any(|(port, address)| {
                port.get() == socket.address.port() && address.is_none_or(serves)
            })
        });
        let inodes: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let known = before
            .map(|before| before.holders.clone())
            .unwrap_or_default();
        let unknown = inodes.iter().copied().filter(|inode| !known.knows(*inode));
        let found = Holders::first(unknown.collect());
        let holders = known.updated(&inodes, found);
        let somaxconn = somaxconn()?;
        let listener = |socket: kernel::Listener| Listener {
            address: socket.address.ip(),
            port: socket.address.port(),
            process: holders.of(socket.inode).first().cloned(),
            asked: bounds.asked(socket.limit, somaxconn),
            limit: socket.limit,
            depth: socket.depth,
            drops: socket.drops,
        };
        let mut listeners: Vec<_> = sockets.into_iter().map(listener).collect();
        listeners.sort_by_key(|listener| (listener.port, listener.address));
        let counters = Counters::read()?;
        let at = Instant::now();
        let per_second = before.map(|before| {
            counters.since(&before.counters, at.duration_since(before.at).as_secs_f64())
        });
        Ok(Self {
            listeners,
            counters,
            per_second,
            somaxconn,
            at,
            holders,
        })
    }

    /// What would make a backlog larger, or show more of it; a line each.
    pub fn hints(&self, bounds: &Bounds) -> Vec<String> {
        let hints = self.listeners.iter();
        let mut hints: Vec<_> = hints
            .filter_map(|each| each.hint(self.somaxconn, bounds))
            .collect();
        hints.dedup();
        if self.holders.hidden && self.listeners.iter().any(|each| each.process.is_none()) {
            hints.push(
                "whose sockets those are is only shown to root with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH".to_owned(),
            );
        }
        hints
    }
}

impl Listener {
    /// Why its backlog is smaller than it could be, and what helps.
    pub fn hint(&self, somaxconn: u32, bounds: &Bounds) -> Option<String> {
        let Self { limit, port, .. } = self;
        let who = match &self.process {
            Some(process) => format!("{port}/tcp: {process}"),
            None => format!("{port}/tcp: its process"),
        };
        if *limit >= somaxconn {
            return (*limit < bounds.wanted).then(|| {
                format!("{who} has a backlog of {limit}, which somaxconn may be cutting; raise that, then restart the application")
            });
        }
        if bounds.earlier == Some(*limit) {
            return Some(format!(
                "{who} listens since somaxconn was {limit}; restart the application to use the larger somaxconn of {somaxconn}"
            ));
        }
        if *limit >= bounds.wanted {
            return None;
        }
        Some(match self.asked {
            Some(asked) => format!(
                "{who}: its backlog argument is {asked}: the application itself is the limit"
            ),
            None => format!(
                "{who} has a backlog of {limit}: its own argument, or what somaxconn was when it began to listen; \
                 restart the application to tell"
            ),
        })
    }
}

impl Bounds {
    /// The kernel keeps the lesser of the argument and `somaxconn` (`__sys_listen_socket()` in
    /// `net/socket.c`).
    fn asked(&self, limit: u32, somaxconn: u32) -> Option<u32> {
        let may_be_cut =
            limit == somaxconn || self.earlier == Some(limit) || DEFAULTS.contains(&limit);
        (!may_be_cut).then_some(limit)
    }
}

impl Counters {
    fn read() -> io::Result<Self> {
        let text = fs::read_to_string(NETSTAT)?;
        Self::parse(&text).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "no TcpExt in /proc/net/netstat")
        })
    }

    /// A line of names and one of numbers (`netstat_seq_show()` in `net/ipv4/proc.c`). procfs does not
    /// know this file.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
        let (names, numbers) = (lines.next()?, lines.next()?);
        let find = |wanted: &str| {
            let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
            let found = pairs.find(|(name, _)| *name == wanted);
            found
                .and_then(|(_, number)| number.parse().ok())
                .unwrap_or(0)
        };
        Some(Self {
            overflows: find("ListenOverflows"),
            drops: find("ListenDrops"),
            syncookies_sent: find("SyncookiesSent"),
            syncookies_received: find("SyncookiesRecv"),
            syncookies_failed: find("SyncookiesFailed"),
        })
    }

    fn since(&self, before: &Self, seconds: f64) -> Counters<f64> {
        let rate = |now: u64, before: u64| match seconds > 0.0 {
            true => now.saturating_sub(before) as f64 / seconds,
            false => 0.0,
        };
        Counters {
            overflows: rate(self.overflows, before.overflows),
            drops: rate(self.drops, before.drops),
            syncookies_sent: rate(self.syncookies_sent, before.syncookies_sent),
            syncookies_received: rate(self.syncookies_received, before.syncookies_received),
            syncookies_failed: rate(self.syncookies_failed, before.syncookies_failed),
        }
    }
}

fn somaxconn() -> io::Result<u32> {
    let text = fs::read_to_string(SOMAXCONN)?;
    text.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
