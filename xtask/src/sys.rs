//! Processes, and who may do what.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The rights with which a step that needs root can be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    Root,
    Sudo,
    None,
}

impl Privilege {
    /// May ask for a password, but only at a terminal.
    pub fn obtain() -> Self {
        if is_root() {
            Self::Root
        } else if which("sudo").is_some() && (sudo_quietly() || sudo_at_terminal()) {
            Self::Sudo
        } else {
            Self::None
        }
    }

    /// The command, under sudo where that is the right held.
    pub fn apply(self, command: Command) -> Command {
        if self != Self::Sudo {
            return command;
        }
        // sudo drops the environment it was called with.
        let assignments = command.get_envs().filter_map(|(name, value)| {
            let mut word = name.to_owned();
            word.push("=");
            word.push(value?);
            Some(word)
        });
        let outer = ["sudo", "-n", "env"].map(OsString::from);
        wrap(outer.into_iter().chain(assignments), &command)
    }
}

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Finds a program on PATH or, because an ordinary user's PATH often lacks
/// them, in the directories of administration tools.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Standard output of a command that answers a question; none if it fails.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Prints the command and runs it, its output on standard error: standard
/// output belongs to what `cargo xtask run` starts. Errors begin with `what`.
pub fn announce(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("+ {}", shown(command));
    run(what, command)
}

/// As [`announce`], without the announcement.
pub fn run(what: &str, command: &mut Command) -> Result<()> {
    let stderr = io::stderr().as_fd().try_clone_to_owned()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(stderr)
        .status()
        .with_context(|| format!("{what}: cannot run {}", shown(command)))?;
    match status.code() {
        Some(0) => Ok(()),
        // So coreutils' timeout answers.
        Some(124 | 137) => bail!("{what} took too long"),
        _ => bail!("{what} failed: {status}"),
    }
}

/// Becomes the command, so that its exit code is ours.
pub fn exec(mut command: Command) -> Result<()> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", shown(&command)))
}

/// The command under a time limit. In the foreground, so that an interrupt from
/// the terminal reaches it and nothing goes on behind the user's back.
pub fn limit(seconds: u32, command: &Command) -> Command {
    let seconds = seconds.to_string();
    let outer = ["timeout", "--foreground", "--kill-after=10", &seconds];
    wrap(outer.map(OsString::from), command)
}

/// `outer` followed by the command's own words; its environment and directory stay.
pub fn wrap(outer: impl IntoIterator<Item = OsString>, inner: &Command) -> Command {
    let mut words = outer.into_iter().chain([inner.get_program().to_owned()]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = inner.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| {
            let word = word.to_string_lossy();
            if word.contains([' ', '\n', '"']) {
                format!("'{word}'")
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn sudo_quietly() -> bool {
    ask(Command::new("sudo").args(["-n", "true"])).is_some()
}

fn sudo_at_terminal() -> bool {
    io::stdin().is_terminal()
        && Command::new("sudo")
            .arg("-v")
            .status()
            .is_ok_and(|status| status.success())
}
