//! `redirector man DIRECTORY`, for packages.

use std::{fs, io};

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

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
        let see_also = match name == program.get_name() {
            true => ["redirector.toml", "tc-bpf"],
            false => ["redirector", "redirector.toml"],
        };
        let page = render(&name, command.display_name(name.clone()), see_also)?;
        let path = directory.join(format!("{name}.{SECTION}"));
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Done)
}

fn render(name: &str, command: Command, see_also: [&str; 2]) -> io::Result<Vec<u8>> {
    let has_verbs = command.get_subcommands().any(|verb| !verb.is_hide_set());
    let has_version = command.get_version().is_some();
    let notes = command
        .get_after_long_help()
        .or(command.get_after_help())
        .map(ToString::to_string);
    let man = Man::new(command)
        .title(name)
        .section(SECTION)
        .source("redirector");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_verbs {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = notes {
        as_it_is("NOTES", &notes).to_writer(&mut page)?;
    }
    exit_status().to_writer(&mut page)?;
    section("SEE ALSO", [others(see_also)]).to_writer(&mut page)?;
    if has_version {
        man.render_version_section(&mut page)?;
    }
    Ok(page)
}

/// With its line breaks.
fn as_it_is(title: &str, text: &str) -> Roff {
    let mut section = section(title, []);
    section.control("nf", []);
    for line in text.lines() {
        section.text([roman(line)]);
    }
    section.control("fi", []);
    section
}

fn section(title: &str, text: impl IntoIterator<Item = Inline>) -> Roff {
    let mut section = Roff::new();
    section.control("SH", [title]);
    section.text(text.into_iter().collect::<Vec<_>>());
    section
}

fn others(pages: [&str; 2]) -> Inline {
    let names = pages.map(|page| match page {
        "redirector.toml" => format!("{page}(5)"),
        _ => format!("{page}({SECTION})"),
    });
    roman(names.join(", "))
}

fn exit_status() -> Roff {
    let mut section = section("EXIT STATUS", [roman("The same for every subcommand:")]);
    for exit in EXITS {
        section.control("TP", []);
        section.text([bold((exit as u8).to_string())]);
        section.text([roman(meaning(exit))]);
    }
    section
}

const EXITS: [Exit; 6] = [
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::NotLoaded,
    Exit::NotPermitted,
    Exit::Degraded,
];

const fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "Done, or nothing to do.",
        Exit::Failed => "Failed; also redirector check where something fails.",
        Exit::Usage => "Usage, or bad configuration.",
        Exit::NotLoaded => "Not loaded.",
        Exit::NotPermitted => {
            "Not permitted; also where a user may not see whether something is loaded."
        }
        Exit::Degraded => {
            "Loaded but degraded: an interface is gone, detached or waited for, or something could not be tuned."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_page_has_every_exit_code() {
        let directory = tempfile::tempdir().unwrap();
        let exit = run(args::Man {
            directory: directory.path().to_owned(),
        });
        assert_eq!(exit.unwrap(), Exit::Done);
        let page = fs::read_to_string(directory.path().join("redirector.8")).unwrap();
        let (_, section) = page.split_once(".SH \"EXIT STATUS\"").unwrap();
        for (code, exit) in EXITS.into_iter().enumerate() {
            assert_eq!(exit as usize, code);
            let entry = format!(".TP\n\\fB{code}\\fR\n{}\n", meaning(exit));
            assert!(section.contains(&entry), "{code}: {page}");
        }
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "SUBCOMMANDS",
            "VERSION",
            "\"SEE ALSO\"",
        ] {
            assert!(
                page.contains(&format!(".SH {section}\n")),
                "{section}: {page}"
            );
        }
    }
}
