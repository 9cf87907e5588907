//! `redirector man DIRECTORY`, for packages.

use std::fs;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::args::{self, Cli};
use crate::exit::Exit;

/// Of administration.
const SECTION: &str = "8";

/// A page for the program and one for each verb.
pub fn run(args: args::Man) -> anyhow::Result<Exit> {
    let directory = args.directory;
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![(program.get_name().to_owned(), program.clone())];
    while let Some((name, command)) = pages.pop() {
        let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        pages.extend(verbs.map(|verb| (format!("{name}-{}", verb.get_name()), verb.clone())));
        let mut page = Vec::new();
        Man::new(command.display_name(name.clone()))
            .section(SECTION)
            .render(&mut page)?;
        let path = directory.join(format!("{name}.{SECTION}"));
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Done)
}
