mod written;

use std::{
    fs,
    io::{self, IsTerminal, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};

pub use self::written::WriteError;
use self::written::Written;
use super::{
    args::Import,
    print::{print, say},
};
use crate::{
    config::{Config, Draft, Protocol, Resolved},
    exit::Exit,
    host::Network,
    import::{
        self, Imported, Outcome, Source, persistent,
        running::{self, Running},
        takeover::Takeover,
    },
    kernel, output,
};

const STANDARD_INPUT: &str = "-";

/// Bad input of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{0} is the JSON of nft; import what `nft list ruleset` prints without -j")]
    Json(String),
}

pub fn run(args: Import) -> anyhow::Result<Exit> {
    if let Some(path) = args.output.as_deref().filter(|_| !args.force) {
        written::require_absent(path)?;
    }
    if args.apply {
        return apply(&args);
    }
    let sources = sources(args.file.as_deref())?;
    let imported = import::lower(&sources);
    let config = (!imported.rules.is_empty()).then(|| import::text(&imported, &sources));
    tell(&args, &sources, &imported, config.as_deref())?;
    let Some(config) = config else {
        let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
        anyhow::bail!("no redirect to take in {}", names.join(", "));
    };
    match &args.output {
        Some(path) => Written::new(path, &config, args.force)?.commit()?,
        None if args.json => {}
        None => print(config)?,
    }
    Ok(Exit::Done)
}

fn apply(args: &Import) -> anyhow::Result<Exit> {
    let running = running::read()?;
    let sources: Vec<_> = running.iter().map(|each| each.source.clone()).collect();
    let imported = import::lower(&sources);
    if imported.rules.is_empty() {
        tell(args, &sources, &imported, None)?;
        let file = args.output.as_ref();
        let unwritten = file.map(|path| format!(", so {} is not written", path.display()));
        say(format_args!(
            "note: nothing to move over{}",
            unwritten.unwrap_or_default()
        ));
        tell_what_stays(&imported);
        return Ok(Exit::Done);
    }
    let config = import::text(&imported, &sources);
    tell(args, &sources, &imported, Some(&config))?;
    let resolved = resolve(&config).context(
        "the rules do not fit this host as they are; import them to a file, without --apply, and mend that",
    )?;
    for notice in &resolved.notices {
        say(format_args!("note: {notice}"));
    }
    hold_signals()?;
    let output = args.output.as_deref();
    let written = output
        .map(|path| Written::new(path, &config, args.force))
        .transpose()?;
    let is_kept = written.is_some();
    take_over(args, &running, &imported, &resolved, written)?;
    if !is_kept && !args.json {
        print(config)?;
    }
    tell_what_stays(&imported);
    for note in left(args) {
        say(format_args!("note: {note}"));
    }
    Ok(Exit::Done)
}

fn tell_what_stays(imported: &Imported) {
    let outcomes = imported.outcomes.values();
    let stay = outcomes.filter(|outcome| matches!(outcome, Outcome::Left(_)));
    match stay.count() {
        0 => {}
        1 => say("note: one line stays with netfilter, for the reason above"),
        count => say(format_args!(
            "note: {count} lines stay with netfilter, for the reasons above"
        )),
    }
}

fn take_over(
    args: &Import,
    running: &[Running],
    imported: &Imported,
    resolved: &Resolved,
    written: Option<Written<'_>>,
) -> anyhow::Result<()> {
    let takeover = Takeover {
        name: &args.instance.name,
        config: &resolved.config,
        imported,
        scripts: &running::scripts(running, imported, are_live(&resolved.config)),
    };
    let tell = &mut |step: String| say(step);
    let examined = takeover.examine(tell)?;
    takeover.run(&examined, tell)?;
    Ok(written.map_or(Ok(()), Written::commit)?)
}

/// From now on nothing but SIGKILL ends this process before its end: all of it is done then, or undone, and said.
fn hold_signals() -> nix::Result<()> {
    let ending = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    ending.into_iter().collect::<SigSet>().thread_block()
}

/// Whether something may go on with the applications that netfilter has redirected. Of UDP nobody knows, nor
/// where the kernel does not tell.
fn are_live(config: &Config) -> bool {
    let targets = |protocol| {
        let rules = config.rules.iter();
        rules
            .filter(move |rule| rule.protocol == protocol)
            .map(|rule| rule.to.get())
    };
    let connections = kernel::connections::<()>(None).unwrap_or_default();
    targets(Protocol::Udp).next().is_some()
        || targets(Protocol::Tcp).any(|port| {
            let mut ports = connections.iter().map(|socket| socket.key.local_port.get());
            ports.any(|other| other == port)
        })
}

/// What a boot would make of it.
fn left(args: &Import) -> Vec<String> {
    let mut notes = vec![match &args.output {
        None => "after a boot, and on interfaces that come later, it is not loaded: keep the configuration above, \
                 for `redirector run -c FILE` or the service"
            .to_owned(),
        Some(path) => format!(
            "after a boot, and on interfaces that come later, it is not loaded, unless `redirector run -c {0}` or \
             the service keeps it (systemctl enable --now redirector, for /etc/redirector/config.toml)",
            path.display()
        ),
    }];
    for (path, lines) in persistent::persistent() {
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "{} brings such rules back at boot; delete its lines {}",
            path.display(),
            lines.join(", ")
        ));
    }
    notes
}

fn resolve(config: &str) -> anyhow::Result<Resolved> {
    let draft = Draft::parse(Path::new("the imported rules"), config.to_owned())?;
    Ok(draft.lower(&Network::read()?)?)
}

/// The named file; standard input where something comes in there; else the running rules.
fn sources(file: Option<&Path>) -> anyhow::Result<Vec<Source>> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |error| ImportError::Unreadable { path, error }
    };
    let (name, read) = match file {
        Some(path) if path != Path::new(STANDARD_INPUT) => (
            path.display().to_string(),
            fs::read(path).map_err(unreadable(path))?,
        ),
        None if !is_fed()? => {
            let running = running::read()?;
            return Ok(running.into_iter().map(|each| each.source).collect());
        }
        _ => {
            let mut read = Vec::new();
            let mut stdin = io::stdin().lock();
            stdin
                .read_to_end(&mut read)
                .map_err(unreadable(Path::new(STANDARD_INPUT)))?;
            ("standard input".to_owned(), read)
        }
    };
    let text = String::from_utf8_lossy(&read);
    if text.trim_start().starts_with("{\"nftables\"") {
        return Err(ImportError::Json(name).into());
    }
    Ok(vec![Source::new(&name, &text)])
}

/// Whether standard input is a pipe or a file. A terminal, /dev/null and a closed one are not.
fn is_fed() -> io::Result<bool> {
    if io::stdin().is_terminal() {
        return Ok(false);
    }
    let Ok(metadata) = fs::metadata("/proc/self/fd/0") else {
        return Ok(false);
    };
    let kind = metadata.file_type();
    Ok(kind.is_fifo() || kind.is_file())
}

fn tell(
    args: &Import,
    sources: &[Source],
    imported: &Imported,
    config: Option<&str>,
) -> anyhow::Result<()> {
    let document = output::import::Document::new(sources, imported, config);
    if args.json {
        print(output::json(&document)?)?;
    } else {
        say(output::import::text(&document).trim_end());
    }
    Ok(())
}
