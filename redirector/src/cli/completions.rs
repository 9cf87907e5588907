//! `redirector completions SHELL`

use clap::CommandFactory;

use super::{
    args::{Cli, Completions},
    print,
};
use crate::exit::Exit;

pub fn run(args: Completions) -> anyhow::Result<Exit> {
    // clap_complete panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "redirector", &mut script);
    print(String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
