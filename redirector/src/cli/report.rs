use aya::programs::SchedClassifier;

use super::print;
use crate::{
    exit::Exit,
    kernel::{self, ObjectSettings, PROGRAMS},
};

/// Loads the programs, attaches nothing, and prints what the verifier counted.
pub fn run() -> anyhow::Result<Exit> {
    kernel::require_capabilities()?;
    let mut object = kernel::open_object(ObjectSettings {
        capacity: 1024,
        log_level: ::log::LevelFilter::Warn,
    })?;
    print(format_args!(
        "{:<12} {:>12} {:>12} {:>12}\n",
        "PROGRAM", "INSTRUCTIONS", "VERIFIED", "JITED BYTES"
    ))?;
    for name in PROGRAMS {
        let Some(program) = object.program_mut(name) else {
            continue;
        };
        let program: &mut SchedClassifier = program.try_into()?;
        let info = program.info()?;
        let translated = info.size_translated().map_or(0, |bytes| bytes / 8);
        let verified = info.verified_instruction_count().unwrap_or(0);
        print(format_args!(
            "{name:<12} {translated:>12} {verified:>12} {:>12}\n",
            info.size_jitted()
        ))?;
    }
    Ok(Exit::Done)
}
