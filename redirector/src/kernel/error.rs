use std::{io, path::PathBuf};

use aya::{EbpfError, maps::MapError, pin::PinError, sys::SyscallError};

use super::{Instance, attach::ForeignXdp, namespace::Way, netlink::XdpMode};
use crate::config::{Name, Rule};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "not permitted: {} missing; redirector needs CAP_BPF and CAP_NET_ADMIN, so run it as root or with sudo",
        list(.missing)
    )]
    NotPermitted { missing: Vec<&'static str> },
    #[error("instance \"{name}\" is not loaded; {help}", help = not_loaded_help(.others))]
    NotLoaded { name: Name, others: Vec<Name> },
    #[error(
        "not permitted to look: instance \"{name}\" is not loaded, or not for this user to read, which \
         `redirector load --pin-mode` decides (0644, everybody, by default); root may always, and often alone before Linux 5.19"
    )]
    Closed { name: Name },
    #[error(
        "instance \"{name}\" is not loaded any more, or not for this user to read (`redirector load --pin-mode`)"
    )]
    ClosedMeanwhile { name: Name },
    #[error(
        "not permitted to trace instance \"{name}\": it switches the programs' reports on, and only root may \
         write to what is loaded; `redirector stats` takes no privileges"
    )]
    TraceNotPermitted { name: Name },
    #[error(
        "not permitted to read what the programs of instance \"{name}\" log: they are opened by their ids, which takes \
         CAP_SYS_ADMIN, so run it as root or with sudo"
    )]
    LogNotPermitted { name: Name },
    #[error(
        "instance \"{name}\" is traced already, and one can read at a time; end the other `redirector trace` first"
    )]
    Traced { name: Name },
    #[error(
        "instance \"{name}\" is loaded with other rules or interfaces; `redirector reload` changes it in place"
    )]
    Differs { name: Name },
    #[error(
        "instance \"{name}\" was loaded by another version of redirector ({found}), so it cannot be changed in place; \
         `redirector unload --name {name}` and `load`, or a restart of its `redirector run`, replace it, without its flows and counters"
    )]
    OtherVersion { name: Name, found: String },
    #[error(
        "instance \"{name}\" is loaded in another network namespace; `{way} redirector ...` reaches it, \
         and here choose another --name"
    )]
    OtherNamespace { name: Name, way: Way },
    #[error(
        "instance \"{name}\" was loaded in a network namespace that is gone; `redirector unload --name {name}` removes its pins"
    )]
    GoneNamespace { name: Name },
    #[error(
        "instance \"{name}\" is loaded in another network namespace and was left alone; \
         `{way} redirector unload --name {name}` unloads it there, --any-namespace from here"
    )]
    UnloadElsewhere { name: Name, way: Way },
    #[error(
        "instance \"{name}\" is kept by `redirector run`{}; for other rules or interfaces change its file \
         and send it SIGHUP, to end it send it SIGTERM (with systemd: reload or stop its service)",
        process(.pid)
    )]
    Supervised { name: Name, pid: Option<i32> },
    #[error(
        "instance \"{name}\" was loaded or reloaded during the drain, so it stays; \
         `redirector unload --name {name}` unloads it"
    )]
    DrainUndone { name: Name },
    #[error(
        "{needed} rules, present and removed, do not fit into the {capacity} places that the load made; `redirector unload` and `redirector load` make more"
    )]
    Full { needed: usize, capacity: usize },
    #[error("this kernel has no BTF for BPF maps (CONFIG_DEBUG_INFO_BTF), which redirector needs")]
    NoBtf,
    #[error(
        "bpf(2) is refused here although this process has the capabilities, as by a seccomp filter; \
         a container needs a profile that allows it (--security-opt seccomp=unconfined), a unit SystemCallFilter=bpf"
    )]
    Filtered,
    #[error(
        "bpffs is not mounted at {path}, and a mount made in this mount namespace would vanish with it; \
         mount it first (mount -t bpf -o mode=0700 bpf {path}), or enter the network namespace with nsenter --net instead of `ip netns exec`"
    )]
    PrivateMount { path: PathBuf },
    #[error("cannot mount bpffs at {path}; `mount -t bpf -o mode=0700 bpf {path}` as root does it")]
    Mount { path: PathBuf, source: io::Error },
    #[error(
        "{path} belongs to user {owner}, who could hide what is loaded; {way}, and close its file system to \
         others (chmod 0700 /sys/fs/bpf)",
        way = remove_foreign(.loaded)
    )]
    ForeignDirectory {
        path: PathBuf,
        owner: u32,
        loaded: Vec<Name>,
    },
    #[error(
        "cannot attach to {interface}: its packets begin neither with Ethernet nor with IP (hardware type {hardware})"
    )]
    LinkLayer { interface: String, hardware: u16 },
    #[error(
        "{rule} on {interface} meets {other} of instance \"{instance}\"; reload or unload that one, or choose other ports"
    )]
    Conflict {
        rule: Box<Rule>,
        interface: String,
        other: Box<Rule>,
        instance: Name,
    },
    #[error(
        "{interface} went, or became another one, while it was looked at or attached; try again once it is there, or have \
         `redirector run` wait for it"
    )]
    Vanished { interface: String },
    #[error("cannot attach to {interface} {direction}: {reason}")]
    Attach {
        interface: String,
        direction: &'static str,
        reason: String,
    },
    #[error(
        "{interface} has the XDP program {other} already, and an interface has one; \
         {off}, or use --hook tc, which goes beside it",
        off = xdp_off(.interface, .other)
    )]
    ForeignXdp {
        interface: String,
        other: ForeignXdp,
    },
    #[error("cannot attach XDP to {interface}, {mode}: {reason}; {help}", help = xdp_help(.mode))]
    Xdp {
        interface: String,
        mode: XdpMode,
        reason: String,
    },
    #[error(
        "cannot attach XDP to {interface}: its packets have no Ethernet header; --hook tc takes it"
    )]
    XdpNeedsEthernet { interface: String },
    #[error(
        "cannot attach XDP to {above} and to {below} below it: a packet would be rewritten twice; \
         leave one of them out, or use --hook tc"
    )]
    XdpStacked { above: String, below: String },
    #[error(
        "not permitted: CAP_PERFMON is missing, without which this kernel lets no such program look at packets \
         (Linux before 6.6, unless mended); run it as root or with sudo, or give it that as well (with systemd: \
         CapabilityBoundingSet=CAP_PERFMON in a drop-in)"
    )]
    Untrusted,
    #[error("the kernel refused program {name}: {reason}")]
    Program { name: String, reason: String },
    #[error("cannot load the BPF object")]
    Object(#[source] EbpfError),
    #[error("the BPF object has no {0}")]
    Missing(String),
    #[error("map {name}")]
    Map { name: String, source: MapError },
    #[error("cannot pin {path}")]
    Pin { path: PathBuf, source: PinError },
    #[error("cannot {what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot ask the program on {interface}: {reason}")]
    Probe { interface: String, reason: String },
    #[error("stopped before step {0} on request")]
    Injected(u32),
}

impl Error {
    /// With what is loaded instead.
    pub fn not_loaded(name: &Name) -> Self {
        Self::NotLoaded {
            name: name.clone(),
            others: Instance::others(name),
        }
    }

    /// Whether there is nothing for this user to read. Who may not look cannot tell that from nothing.
    pub fn is_nothing_to_read(&self) -> bool {
        matches!(
            self,
            Self::NotLoaded { .. } | Self::Closed { .. } | Self::ClosedMeanwhile { .. }
        )
    }

    /// Whether the kernel refused for want of rights.
    pub fn is_permission(&self) -> bool {
        let kind = match self {
            Self::NotPermitted { .. }
            | Self::Filtered
            | Self::Untrusted
            | Self::Closed { .. }
            | Self::TraceNotPermitted { .. }
            | Self::LogNotPermitted { .. } => {
                return true;
            }
            Self::Io { source, .. } | Self::Mount { source, .. } => source.kind(),
            Self::Map {
                source:
                    MapError::SyscallError(SyscallError { io_error, .. }) | MapError::IoError(io_error),
                ..
            } => io_error.kind(),
            _ => return false,
        };
        kind == io::ErrorKind::PermissionDenied
    }

    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn map(name: &str) -> impl FnOnce(MapError) -> Self {
        move |source| Self::Map {
            name: name.to_owned(),
            source,
        }
    }
}

/// What a driver asks for most (`ndo_bpf` of the drivers in `drivers/net`).
fn xdp_help(mode: &XdpMode) -> &'static str {
    match mode {
        XdpMode::Native => {
            "drivers want a small MTU, spare queues (ethtool -L), and LRO and hardware GRO off \
             (ethtool -K ... lro off rx-gro-hw off); --xdp-mode generic or --hook tc needs none of that"
        }
        XdpMode::Generic => "--hook tc takes it",
    }
}

fn remove_foreign(loaded: &[Name]) -> String {
    if loaded.is_empty() {
        return "remove it".to_owned();
    }
    let names: Vec<_> = loaded.iter().map(Name::as_str).collect();
    let names = names.join(", ");
    format!("unload what is there ({names}; `redirector unload --all --any-namespace`), remove it")
}

fn process(pid: &Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

fn xdp_off(interface: &str, other: &ForeignXdp) -> String {
    let command = if let Some(instance) = &other.instance {
        return format!(
            "let that instance go without (redirector reload --name {instance} --hook tc, or that hook for the \
             `redirector run` that keeps it)"
        );
    } else if other.is_dispatcher() {
        format!("xdp-loader unload {interface} --all")
    } else {
        // Without the mode iproute2 asks the driver, which has none of the other kind and says nothing.
        let mode = match other.mode {
            XdpMode::Native => "xdpdrv",
            XdpMode::Generic => "xdpgeneric",
        };
        format!("ip link set dev {interface} {mode} off; if a link holds it, end who has that")
    };
    format!("detach it ({command})")
}

fn not_loaded_help(others: &[Name]) -> String {
    if others.is_empty() {
        return "`redirector load` loads it".to_owned();
    }
    let others: Vec<_> = others.iter().map(Name::as_str).collect();
    format!("loaded: {}; see --name", others.join(", "))
}

fn list(missing: &[&str]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.join(" and "))
}
