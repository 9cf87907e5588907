use std::{
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use super::{args::Import, print};
use crate::{
    config::{Draft, Resolved},
    exit::Exit,
    host::Network,
    import::{
        self, Imported, Source,
        running::{self, Running},
        takeover::Takeover,
    },
    output,
};

const STANDARD_INPUT: &str = "-";

/// Bad input of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{0} is the JSON of nft; import what `nft list ruleset` prints without -j")]
    Json(String),
    #[error("{} exists; remove it, or name another file", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {error}", path.display())]
    Unwritable { path: PathBuf, error: io::Error },
}

pub fn run(args: Import) -> anyhow::Result<Exit> {
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
        Some(path) => _ = Written::new(path, &config)?,
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
        eprintln!("note: nothing to move over");
        return Ok(Exit::Done);
    }
    let config = import::text(&imported, &sources);
    let resolved = resolve(&config)?;
    tell(args, &sources, &imported, Some(&config))?;
    for notice in &resolved.notices {
        eprintln!("note: {notice}");
    }
    let output = args.output.as_deref();
    let written = output.map(|path| Written::new(path, &config)).transpose()?;
    if let Err(error) = take_over(args, &running, &imported, &resolved) {
        written.iter().for_each(Written::remove);
        return Err(error.into());
    }
    if written.is_none() && !args.json {
        print(config)?;
    }
    for note in left(args) {
        eprintln!("note: {note}");
    }
    Ok(Exit::Done)
}

fn take_over(
    args: &Import,
    running: &[Running],
    imported: &Imported,
    resolved: &Resolved,
) -> Result<(), import::takeover::Error> {
    let takeover = Takeover {
        name: &args.instance.name,
        config: &resolved.config,
        imported,
        scripts: &running::scripts(running, imported),
    };
    takeover.run(&mut |step| eprintln!("{step}"))
}

/// What a boot would make of it.
fn left(args: &Import) -> Vec<String> {
    let mut notes = Vec::new();
    if args.output.is_none() {
        notes.push("after a boot it is not loaded: keep the configuration above".to_owned());
    }
    for (path, lines) in running::persistent() {
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        notes.push(format!(
            "{path} brings such rules back at boot; delete its lines {}",
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
        eprint!("{}", output::import::text(&document));
    }
    Ok(())
}

/// A configuration that was written, and the directory that was made for it.
struct Written<'a> {
    file: &'a Path,
    directory: Option<&'a Path>,
}

impl<'a> Written<'a> {
    /// Never over a file that is there.
    fn new(file: &'a Path, config: &str) -> Result<Self, ImportError> {
        let unwritable = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => ImportError::Exists(file.to_owned()),
            _ => ImportError::Unwritable {
                path: file.to_owned(),
                error,
            },
        };
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty() && !parent.exists());
        directory
            .map_or(Ok(()), fs::create_dir)
            .map_err(unwritable)?;
        let written = File::create_new(file).map_err(unwritable)?;
        let written = (&written).write_all(config.as_bytes());
        let this = Self { file, directory };
        match written {
            Ok(()) => Ok(this),
            Err(error) => {
                this.remove();
                Err(unwritable(error))
            }
        }
    }

    /// Whatever fails here, the error that led here is the one worth telling.
    fn remove(&self) {
        let _ = fs::remove_file(self.file);
        if let Some(directory) = self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}
