//! The BPF object inside this binary, and its programs.

use std::{io, path::Path};

use aya::{
    Ebpf, EbpfLoader,
    maps::Map,
    programs::{Program, ProgramError, ProgramInfo, SchedClassifier},
    sys::SyscallError,
};
use aya_log::Level;
use redirector_common::abi::EARLIER_TARGETS;

use super::{Error, capability, fault, sys};

/// What redirector/build.rs built.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/redirector-ebpf"));

/// Every program that an interface needs. `_l3` is for interfaces without a link-layer header.
pub const PROGRAMS: [&str; 4] = ["ingress", "egress", "ingress_l3", "egress_l3"];

/// Before `ingress`: in a driver, and in what the kernel has for drivers that cannot.
pub const INGRESS_XDP: &str = "ingress_xdp";
pub const INGRESS_XDP_GENERIC: &str = "ingress_xdp_skb";

/// What is loaded instead, under the same name, where the kernel (before 5.18) knows no packets in fragments there.
const LINEAR: [(&str, &str); 2] = [
    (INGRESS_XDP, "xdp_linear"),
    (INGRESS_XDP_GENERIC, "xdp_linear_skb"),
];

/// All of them.
pub const NAMES: [&str; 6] = [
    PROGRAMS[0],
    PROGRAMS[1],
    PROGRAMS[2],
    PROGRAMS[3],
    INGRESS_XDP,
    INGRESS_XDP_GENERIC,
];

/// Maps that stay after the load; the log's ring buffer is one of them.
const MAPS: [&str; 19] = [
    "SETTINGS",
    "PORTS",
    "RULES",
    "EARLIER",
    "PENDING",
    "FLOWS",
    "RECENT",
    "MOVED",
    "EVER",
    "SOCKETS",
    "COUNTERS",
    "SKIPPED",
    "HISTOGRAMS",
    "TRACE",
    "TRACED",
    "TRACE_LOST",
    "INTERFACES",
    "WANTED",
    "AYA_LOGS",
];

/// What is fixed when the object is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rules, present and removed, that the maps have places for.
    pub capacity: u32,
    pub log_level: log::LevelFilter,
}

/// Creates the maps and has the kernel verify every program that an interface needs.
pub fn open(settings: Settings) -> Result<Ebpf, Error> {
    load(settings, PROGRAMS, None)
}

/// Creates the maps, or takes those that are pinned in a directory, and has the kernel verify the
/// named programs.
pub fn load(
    settings: Settings,
    programs: impl IntoIterator<Item = &'static str>,
    pinned: Option<&Path>,
) -> Result<Ebpf, Error> {
    let mut object = maps(settings, pinned)?;
    for name in programs {
        verify(&mut object, name)?;
    }
    Ok(object)
}

/// The program that was loaded under this name.
pub fn loaded<'a>(object: &'a mut Ebpf, name: &str) -> Option<&'a mut Program> {
    object
        .programs_mut()
        .find(|(own, program)| pin_name(own) == name && program.fd().is_ok())
        .map(|(_, program)| program)
}

fn pin_name(name: &str) -> &str {
    let linear = LINEAR.iter().find(|(_, linear)| *linear == name);
    linear.map_or(name, |(name, _)| name)
}

/// A flag, which is refused before the verifier has said a word, or a helper (`check_helper_call()` in
/// `kernel/bpf/verifier.c`).
fn is_unknown(error: &ProgramError) -> bool {
    let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    else {
        return false;
    };
    let log = verifier_log.to_string();
    io_error.kind() == io::ErrorKind::InvalidInput
        && (log.is_empty() || verdict(&log).starts_with("invalid func "))
}

/// How often the kernel is asked again. A signal ends what it does, one of a process that has ended included.
const ATTEMPTS: u32 = 100;

fn verify(object: &mut Ebpf, name: &str) -> Result<(), Error> {
    let linear = LINEAR.iter().find(|(usual, _)| *usual == name);
    let linear = linear.map(|(_, linear)| *linear);
    if let Some(linear) = linear.filter(|_| fault::pretends_no_fragments()) {
        return verify(object, linear);
    }
    let program = object
        .program_mut(name)
        .ok_or_else(|| Error::Missing(format!("program {name}")))?;
    match (linear, ask(program)) {
        (Some(linear), Err(error)) if is_unknown(&error) => verify(object, linear),
        (_, verified) => verified.map_err(|error| refused(name, &error)),
    }
}

fn ask(program: &mut Program) -> Result<(), ProgramError> {
    let mut load = || match &mut *program {
        Program::Xdp(program) => program.load(),
        program => <&mut SchedClassifier>::try_from(program).and_then(SchedClassifier::load),
    };
    for _ in 1..ATTEMPTS {
        match load() {
            // `do_check()` in `kernel/bpf/verifier.c`: EAGAIN where a signal is pending.
            Err(ProgramError::LoadError { io_error, .. })
                if io_error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
    load()
}

/// The id of a pinned program.
pub fn program_id(path: &Path) -> Result<u32, Error> {
    let info = ProgramInfo::from_pin(path).map_err(|error| {
        let kind = match &error {
            ProgramError::SyscallError(SyscallError { io_error, .. }) => io_error.kind(),
            _ => io::ErrorKind::Other,
        };
        Error::io("look at", path)(io::Error::new(kind, error))
    })?;
    Ok(info.id())
}

/// Pins the programs that were loaded, by their names and a suffix.
pub fn pin_programs(object: &mut Ebpf, directory: &Path, suffix: &str) -> Result<(), Error> {
    for (name, program) in object.programs_mut() {
        if program.fd().is_err() {
            continue;
        }
        let path = directory.join(format!("{}{suffix}", pin_name(name)));
        program
            .pin(&path)
            .map_err(|source| Error::Pin { path, source })?;
    }
    Ok(())
}

pub fn pin_maps(object: &Ebpf, directory: &Path) -> Result<(), Error> {
    for name in MAPS {
        let map: &Map = object
            .map(name)
            .ok_or_else(|| Error::Missing(format!("map {name}")))?;
        let path = directory.join(name);
        map.pin(&path)
            .map_err(|source| Error::Pin { path, source })?;
    }
    Ok(())
}

fn maps(settings: Settings, pinned: Option<&Path>) -> Result<Ebpf, Error> {
    if aya::features().btf().is_none() {
        return Err(match sys::is_filtered() {
            true => Error::Filtered,
            false => Error::NoBtf,
        });
    }
    let level = match settings.log_level {
        log::LevelFilter::Off => 0,
        log::LevelFilter::Error => Level::Error as u8,
        log::LevelFilter::Warn => Level::Warn as u8,
        log::LevelFilter::Info => Level::Info as u8,
        log::LevelFilter::Debug => Level::Debug as u8,
        log::LevelFilter::Trace => Level::Trace as u8,
    };
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        if let Some(directory) = pinned {
            loader.map_pin_path(name, directory.join(name));
        }
    }
    loader
        .override_global(aya_log::LEVEL, &level, true)
        .map_max_entries("COUNTERS", settings.capacity)
        // Both slots.
        .map_max_entries("RULES", 2 * settings.capacity)
        .map_max_entries("EARLIER", 2 * EARLIER_TARGETS * settings.capacity)
        .load(OBJECT)
        .map_err(Error::Object)
}

/// What the verifier's log ends with (`kernel/bpf/verifier.c`, `print_verification_stats()`).
const STATISTICS: [&str; 3] = ["processed ", "stack depth ", "verification time "];

/// The last line before the statistics; those before it are the walk there.
fn verdict(log: &str) -> &str {
    log.lines()
        .rev()
        .find(|line| !STATISTICS.iter().any(|start| line.starts_with(start)))
        .unwrap_or_default()
        .trim()
}

/// Of a program that compares where a packet ends (`check_cond_jmp_op()`), or asks how far that is
/// (`adjust_reg_min_max_vals()`).
const UNTRUSTED: [&str; 2] = ["pointer comparison prohibited", "pointer prohibited"];

fn refused(name: &str, error: &ProgramError) -> Error {
    let reason = match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            let log = verifier_log.to_string();
            let verdict = verdict(&log);
            if UNTRUSTED.iter().any(|end| verdict.ends_with(end)) && !capability::is_trusted() {
                return Error::Untrusted;
            }
            format!("{io_error} ({verdict})")
        }
        other => other.to_string(),
    };
    Error::Program {
        name: name.to_owned(),
        reason,
    }
}
