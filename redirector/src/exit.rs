//! Exit codes, the same for every command.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    Failed = 1,
    /// Usage or bad configuration.
    Usage = 2,
    NotLoaded = 3,
    NotPermitted = 4,
    /// Loaded, but not working as configured.
    Degraded = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
