//! Programs of somebody else, under names of their own. They let every packet pass.

use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread};

use aya::programs::links::LinkOrder;
use aya::programs::tc::{SchedClassifier, TcAttachOptions, TcAttachType};

use crate::netns::Namespace;
use crate::system::{load_program, pin};

/// `include/uapi/linux/bpf.h`.
const SCHED_CLS: u32 = 3;
const XDP: u32 = 6;
const TC_ACT_UNSPEC: i32 = -1;
const XDP_PASS: i32 = 2;

/// A pinned program, which goes with its owner. What is attached by it goes with its link or interface.
pub struct Program {
    path: PathBuf,
}

impl Program {
    pub fn tc(name: &str) -> Self {
        Self::load(SCHED_CLS, name, TC_ACT_UNSPEC)
    }

    pub fn xdp(name: &str) -> Self {
        Self::load(XDP, name, XDP_PASS)
    }

    fn load(kind: u32, name: &str, verdict: i32) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from("/sys/fs/bpf").join(format!("foreign-{}-{number}", process::id()));
        let program = load_program(kind, name, verdict).expect("a program");
        pin(&program, &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// On TCX ingress, as long as what is returned lives.
    pub fn tcx(&self, host: &Namespace, interface: &str, order: LinkOrder) -> SchedClassifier {
        let mut program = SchedClassifier::from_pin(&self.path).expect("the program");
        let options = TcAttachOptions::TcxOrder(order);
        host.enter(|| program.attach_with_options(interface, TcAttachType::Ingress, options))
            .unwrap_or_else(|error| panic!("TCX of {interface}: {error:?}"));
        program
    }

    /// On a clsact qdisc that is there.
    pub fn filter(&self, host: &Namespace, interface: &str, direction: &str, priority: u16) {
        let path = self.path.display();
        host.run(&format!(
            "tc filter add dev {interface} {direction} prio {priority} bpf direct-action pinned {path}"
        ));
    }

    /// `mode` as `ip link` has it: `xdp`, `xdpdrv` or `xdpgeneric`.
    pub fn attach_xdp(&self, host: &Namespace, interface: &str, mode: &str) {
        let path = self.path.display();
        host.ip(&format!("link set dev {interface} {mode} pinned {path}"));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.path);
        if !thread::panicking() {
            removed.unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        }
    }
}
