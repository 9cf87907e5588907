//! What the programs log: rare, and read by `redirector log`.
//!
//! In aya-log's format, but of a size that the compiler knows. aya-log's own macros compare with the size of the
//! room at every byte; with CAP_BPF alone Linux before 6.17 also verifies what would be executed speculatively,
//! were such a comparison mispredicted, and refuses what lies beyond the room (`sanitize_speculative_path()` in
//! `kernel/bpf/verifier.c`).

use aya_log_common::{ArgumentKind, DisplayHint, Level, RecordFieldKind};
use aya_log_ebpf::macro_support::{AYA_LOGS, level_enabled};
use redirector_common::abi::{FlowKey, NO_PORT, Port};

const TARGET: [u8; 10] = *b"redirector";
const IS: [u8; 22] = *b" is connected to port ";
const NONE_FREE: [u8; 70] =
    *b" already, directly or through another port, and has no other port free";
const COMES_FROM: [u8; 95] = *b" already, directly or through another port; to the application this connection comes from port ";

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
    if !level_enabled(Level::Warn) {
        return 0;
    }
    let moved = Port::from_be(moved as u16);
    if moved == NO_PORT {
        write(key, moved, NONE_FREE, 10);
    } else {
        write(key, moved, COMES_FROM, 12);
    }
    1
}

/// A kind, a length and a value: bytes alone, so that nothing is padded.
#[repr(C)]
struct Field<const N: usize> {
    kind: u8,
    length: [u8; 2],
    value: [u8; N],
}

impl<const N: usize> Field<N> {
    #[inline(always)]
    const fn new(kind: u8, value: [u8; N]) -> Self {
        Self {
            kind,
            length: (N as u16).to_ne_bytes(),
            value,
        }
    }

    #[inline(always)]
    const fn text(value: [u8; N]) -> Self {
        Self::new(ArgumentKind::Str as u8, value)
    }
}

/// How the next argument is to be shown.
#[inline(always)]
const fn hint(hint: DisplayHint) -> Field<1> {
    Field::new(ArgumentKind::DisplayHint as u8, [hint as u8])
}

#[repr(C)]
struct PortArgument {
    hint: Field<1>,
    port: Field<2>,
}

impl PortArgument {
    #[inline(always)]
    const fn new(port: Port) -> Self {
        Self {
            hint: hint(DisplayHint::Default),
            port: Field::new(ArgumentKind::U16 as u8, port.get().to_ne_bytes()),
        }
    }
}

#[repr(C)]
struct Record<const N: usize> {
    size: [u8; 2],
    target: Field<10>,
    level: Field<1>,
    module: Field<10>,
    file: Field<6>,
    line: Field<4>,
    arguments: Field<4>,
    open: Field<1>,
    remote_hint: Field<1>,
    remote: Field<16>,
    close: Field<2>,
    remote_port: PortArgument,
    is: Field<22>,
    port: PortArgument,
    already: Field<N>,
    moved: PortArgument,
}

/// `arguments` counts texts, hints and values; what is behind them is not read.
#[inline(always)]
fn write<const N: usize>(key: &FlowKey, moved: Port, already: [u8; N], arguments: u32) {
    let Some(mut room) = AYA_LOGS.reserve::<Record<N>>(0) else {
        return;
    };
    room.write(Record {
        size: (size_of::<Record<N>>() as u16).to_ne_bytes(),
        target: Field::new(RecordFieldKind::Target as u8, TARGET),
        level: Field::new(RecordFieldKind::Level as u8, [Level::Warn as u8]),
        module: Field::new(RecordFieldKind::Module as u8, TARGET),
        file: Field::new(RecordFieldKind::File as u8, *b"log.rs"),
        line: Field::new(RecordFieldKind::Line as u8, line!().to_ne_bytes()),
        arguments: Field::new(RecordFieldKind::NumArgs as u8, arguments.to_ne_bytes()),
        open: Field::text(*b"["),
        remote_hint: hint(DisplayHint::Ip),
        remote: Field::new(ArgumentKind::ArrU8Len16 as u8, key.remote.octets()),
        close: Field::text(*b"]:"),
        remote_port: PortArgument::new(key.remote_port),
        is: Field::text(IS),
        port: PortArgument::new(key.local_port),
        already: Field::text(already),
        moved: PortArgument::new(moved),
    });
    room.submit(0);
}
