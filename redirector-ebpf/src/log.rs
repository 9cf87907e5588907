//! What the programs log: rare, and read by `redirector log`.

use aya_log_ebpf::warn;
use redirector_common::abi::{FlowKey, NO_PORT, Port};

/// To the application a connection comes from another client port; [`NO_PORT`] where none was free. A
/// function of its own for its stack.
#[inline(always)]
pub fn moved(key: &FlowKey, moved: Port) {
    log_moved(key, u32::from(moved.to_be()));
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn log_moved(key: *const FlowKey, moved: u32) -> u32 {
    // SAFETY: the verifier checks every call for memory of this size.
    let Some(key) = (unsafe { key.as_ref() }) else {
        return 0;
    };
    let moved = Port::from_be(moved as u16);
    if moved == NO_PORT {
        warn!(
            (),
            "[{:i}]:{} is connected to port {} already, directly or through another port, and has no other port free",
            key.remote.octets(),
            key.remote_port.get(),
            key.local_port.get()
        );
    } else {
        warn!(
            (),
            "[{:i}]:{} is connected to port {} already, directly or through another port; to the application this connection comes from port {}",
            key.remote.octets(),
            key.remote_port.get(),
            key.local_port.get(),
            moved.get()
        );
    }
    1
}
