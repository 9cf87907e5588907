//! What an instance leaves on a host, as the kernel and other tools list it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aya::programs::tc::{SchedClassifier, TcAttachType};
use aya::programs::{ProgramInfo, loaded_programs};

use crate::netns::Namespace;
use crate::redirector::{Instance, json};

/// Compares equal when nothing was added and nothing was removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Below the bpffs, with the instance's name anywhere in the path.
    pub pins: BTreeSet<PathBuf>,
    pub qdiscs: Vec<String>,
    /// Per interface and direction: `tc filter show`, and the ids of TCX programs.
    pub filters: Vec<String>,
    pub tcx: Vec<u32>,
    pub xdp: Vec<Xdp>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Xdp {
    pub interface: String,
    /// `XDP_ATTACHED_*` of `include/uapi/linux/if_link.h`.
    pub mode: u64,
    pub program: u64,
}

impl Xdp {
    pub const NATIVE: u64 = 1;
    pub const GENERIC: u64 = 2;
}

impl Footprint {
    pub fn of(instance: &Instance) -> Self {
        let host = instance.host();
        let mut footprint = Self {
            pins: pins(Path::new("/sys/fs/bpf"), instance.name()),
            qdiscs: host
                .run("tc qdisc show")
                .lines()
                .map(str::to_owned)
                .collect(),
            filters: Vec::new(),
            tcx: Vec::new(),
            xdp: Vec::new(),
        };
        for (interface, xdp) in interfaces(host) {
            for direction in ["ingress", "egress"] {
                let filters = host.run(&format!("tc filter show dev {interface} {direction}"));
                footprint.filters.extend(
                    filters
                        .lines()
                        .map(|line| format!("{interface} {direction} {line}")),
                );
            }
            footprint.tcx.extend(host.enter(|| tcx(&interface)));
            footprint.xdp.extend(xdp);
        }
        footprint
    }

    pub fn is_attached(&self) -> bool {
        !(self.filters.is_empty() && self.tcx.is_empty() && self.xdp.is_empty())
    }
}

/// The ids of every BPF program of the kernel, whoever holds it.
pub fn programs_alive() -> BTreeSet<u32> {
    // A program may go between being listed and being asked.
    loaded_programs()
        .flatten()
        .map(|program| program.id())
        .collect()
}

fn interfaces(host: &Namespace) -> Vec<(String, Option<Xdp>)> {
    json(&host.ip("-json link show"))
        .as_array()
        .expect("a list of links")
        .iter()
        .map(|link| {
            let name = link["ifname"].as_str().expect("a name").to_owned();
            let xdp = link.get("xdp").map(|xdp| Xdp {
                interface: name.clone(),
                mode: xdp["mode"].as_u64().expect("a mode"),
                program: xdp["prog"]["id"].as_u64().expect("a program's id"),
            });
            (name, xdp)
        })
        .collect()
}

fn tcx(interface: &str) -> Vec<u32> {
    [TcAttachType::Ingress, TcAttachType::Egress]
        .into_iter()
        // Kernels before 6.6 do not know the question.
        .filter_map(|direction| SchedClassifier::query_tcx(interface, direction).ok())
        .flat_map(|(_, programs)| programs)
        .map(|program: ProgramInfo| program.id())
        .collect()
}

fn pins(directory: &Path, name: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(directory) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.to_string_lossy().contains(name) {
            found.insert(path.clone());
        }
        // Links of the bpffs are not followed: pins are directories and files.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(pins(&path, name));
        }
    }
    found
}
