use super::{Finding, Level};
use crate::{
    kernel::{self, ObjectSettings},
    output::chain,
};

const ID: &str = "kernel";
const SUBJECT: &str = "kernel";

/// Creates maps and programs as a load would, attaches nothing, and lets go of them.
pub fn findings() -> Vec<Finding> {
    let outcome = kernel::require_capabilities().and_then(|()| {
        kernel::require_bpffs()?;
        kernel::open_object(ObjectSettings {
            capacity: 1024,
            log_level: log::LevelFilter::Warn,
        })
    });
    let finding = match outcome {
        Ok(_) => Finding::new(ID, Level::Ok, SUBJECT, "it accepts the programs"),
        Err(error) => Finding::new(ID, Level::Failure, SUBJECT, chain(&error)),
    };
    vec![finding]
}
