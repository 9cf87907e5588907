//! `redirector completions SHELL`

use clap::CommandFactory;
use clap_complete::Shell;

use super::{
    args::{Cli, Completions},
    print,
};
use crate::exit::Exit;

pub fn run(args: Completions) -> anyhow::Result<Exit> {
    print(script(args.shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    // clap_complete panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(), "redirector", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The grammar without hidden verbs, which clap_complete would offer.
fn shown() -> clap::Command {
    let cli = Cli::command();
    clap::Command::new("redirector")
        .version(env!("CARGO_PKG_VERSION"))
        .args(cli.get_arguments().cloned())
        .subcommands(
            cli.get_subcommands()
                .filter(|verb| !verb.is_hide_set())
                .cloned(),
        )
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn hidden_verbs_are_not_offered() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for verb in [
                "program-report",
                "Write the manual pages",
                "redirector,man)",
            ] {
                assert!(!script.contains(verb), "{shell}: {verb}");
            }
            for word in ["dashboard", "completions", "version"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn names_are_not_completed_with_files() {
        let script = script(Shell::Bash);
        let lines: Vec<_> = script.lines().map(str::trim).collect();
        for option in ["-i)", "--interface)", "--name)"] {
            let mut answers = lines.windows(2).filter(|pair| pair[0] == option).peekable();
            assert!(answers.peek().is_some(), "{option}");
            for answer in answers {
                assert_eq!(answer[1], "COMPREPLY=(\"${cur}\")", "{option}");
            }
        }
    }
}
