//! What this process may do, from its effective capabilities rather than from its user id.

use procfs::process::Process;

use super::Error;
use crate::config::Name;

/// Bits of `include/uapi/linux/capability.h`.
const CAPABILITIES: [(&str, u32); 2] = [("CAP_BPF", 39), ("CAP_NET_ADMIN", 12)];
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_SYS_RESOURCE: u32 = 24;

/// Fails, naming what is missing, unless programs can be loaded and attached.
pub fn require() -> Result<(), Error> {
    let effective = effective();
    // Before CAP_BPF there was CAP_SYS_ADMIN, and it still implies it (capable.h, bpf_capable()).
    let has = |bit: u32| effective & (1 << bit) != 0;
    let missing: Vec<_> = CAPABILITIES
        .iter()
        .filter(|(name, bit)| !has(*bit) && (*name != "CAP_BPF" || !has(CAP_SYS_ADMIN)))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::NotPermitted { missing })
    }
}

/// Fails unless programs can be opened by their ids, which is how their log is found (`bpf_obj_get_next_id()` and
/// `bpf_prog_get_fd_by_id()` in `kernel/bpf/syscall.c`).
pub fn require_log_reader(name: &Name) -> Result<(), Error> {
    if has(CAP_SYS_ADMIN) {
        return Ok(());
    }
    Err(Error::LogNotPermitted { name: name.clone() })
}

/// Whether the verifier trusts our programs (`bpf_allow_ptr_leaks()` and `bpf_bypass_spec_v4()` in `linux/bpf.h`).
pub fn is_trusted() -> bool {
    effective() & (1 << CAP_PERFMON | 1 << CAP_SYS_ADMIN) != 0
}

/// What it costs if it does not.
pub fn barriers() -> Option<String> {
    (!is_trusted()).then(|| {
        "without CAP_PERFMON the kernel puts barriers against speculation into the programs (unless its mitigations \
         are off), and each packet pays for them"
            .to_owned()
    })
}

/// Whether hard limits of processes can be raised.
pub fn may_raise_limits() -> bool {
    has(CAP_SYS_RESOURCE)
}

fn has(bit: u32) -> bool {
    effective() & (1 << bit) != 0
}

/// Without /proc nothing is known to be missing; the kernel decides.
fn effective() -> u64 {
    Process::myself()
        .and_then(|process| process.status())
        .map_or(u64::MAX, |status| status.capeff)
}
