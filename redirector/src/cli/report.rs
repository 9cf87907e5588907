use super::print;
use crate::{
    exit::Exit,
    kernel::{self, INGRESS_XDP, INGRESS_XDP_GENERIC, ObjectSettings, PROGRAMS},
};

/// Loads the programs, attaches nothing, and prints what the verifier counted.
pub fn run() -> anyhow::Result<Exit> {
    kernel::require_capabilities()?;
    let settings = ObjectSettings {
        capacity: 1024,
        log_level: ::log::LevelFilter::Warn,
    };
    let programs = PROGRAMS
        .into_iter()
        .chain([INGRESS_XDP, INGRESS_XDP_GENERIC]);
    let mut object = kernel::load_object(settings, programs.clone(), None)?;
    print(format_args!(
        "{:<15} {:>12} {:>12} {:>12}\n",
        "PROGRAM", "INSTRUCTIONS", "VERIFIED", "JITED BYTES"
    ))?;
    for name in programs {
        let Some(program) = kernel::loaded_program(&mut object, name) else {
            continue;
        };
        let info = program.info()?;
        let translated = info.size_translated().map_or(0, |bytes| bytes / 8);
        let verified = info.verified_instruction_count().unwrap_or(0);
        print(format_args!(
            "{name:<15} {translated:>12} {verified:>12} {:>12}\n",
            info.size_jitted()
        ))?;
    }
    Ok(Exit::Done)
}
