//! The command line: one file per verb.

use std::process::ExitCode;

use crate::exit::Exit;

pub fn main() -> ExitCode {
    Exit::Done.into()
}
