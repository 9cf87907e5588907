//! `cargo xtask fuzz`

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{setup, sys, workspace::root};

#[derive(clap::Args)]
pub struct Options {
    /// One target; without it every one in turn
    target: Option<Target>,

    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,

    /// Afterwards replace the corpus in git by the fewest inputs that reach the same code
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Target {
    Parse,
    Redirect,
}

impl Target {
    const ALL: [Self; 2] = [Self::Parse, Self::Redirect];

    const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Redirect => "redirect",
        }
    }
}

pub fn verb(options: &Options) -> Result<()> {
    let fuzzer = Fuzzer {
        program: setup::fuzzer()?,
        sanitizer: sanitizer()?,
    };
    let all = options.target.map_or(Target::ALL.to_vec(), |one| vec![one]);
    for target in all {
        fuzzer.fuzz(target, options.seconds)?;
        if options.keep {
            fuzzer.keep(target)?;
        }
    }
    Ok(())
}

/// libFuzzer's flags need a nightly, or a compiler that believes to be one; a distribution's has no
/// runtime of the sanitizer, and the packet path has no unsafe code for it to watch.
fn sanitizer() -> Result<&'static str> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut question = Command::new(rustc);
    question
        .current_dir(root())
        .args(["--print", "target-libdir"]);
    let libraries =
        sys::ask(&mut question).context("rustc does not say where its libraries are")?;
    let has_runtime = fs::read_dir(libraries.trim())?
        .filter_map(Result::ok)
        .any(|file| file.file_name().to_string_lossy().ends_with("_rt.asan.a"));
    Ok(if has_runtime { "address" } else { "none" })
}

struct Fuzzer {
    program: PathBuf,
    sanitizer: &'static str,
}

impl Fuzzer {
    /// What it finds goes to target/fuzz/corpus, from where the next run goes on; an input that
    /// fails goes to redirector-common/fuzz/artifacts.
    fn fuzz(&self, target: Target, seconds: u32) -> Result<()> {
        let found = scratch("corpus", target);
        fs::create_dir_all(&found)?;
        let mut run = self.run(target, &[&found, &seeds(target)]);
        run.arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=4096", "-print_final_stats=1"]);
        sys::announce(target.name(), &mut run)
    }

    fn keep(&self, target: Target) -> Result<()> {
        let kept = scratch("kept", target);
        remove(&kept)?;
        fs::create_dir_all(&kept)?;
        let found = scratch("corpus", target);
        let seeds = seeds(target);
        let mut merge = self.run(target, &[&kept, &seeds, &found]);
        // By lines reached, not by how often: a few dozen inputs instead of hundreds.
        merge.args(["-set_cover_merge=1", "-use_counters=0", "-max_len=4096"]);
        sys::announce("the merge", &mut merge)?;
        remove(&seeds)?;
        fs::create_dir_all(&seeds)?;
        for file in fs::read_dir(&kept)? {
            let file = file?;
            fs::copy(file.path(), seeds.join(file.file_name()))?;
        }
        Ok(())
    }

    fn run(&self, target: Target, corpora: &[&Path]) -> Command {
        let mut fuzz = Command::new(&self.program);
        fuzz.current_dir(root())
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["fuzz", "run", "--sanitizer", self.sanitizer])
            .arg("--fuzz-dir")
            .arg(directory())
            .arg("--target-dir")
            .arg(root().join("target/fuzz"))
            .arg(target.name())
            .args(corpora)
            .arg("--");
        fuzz
    }
}

fn directory() -> PathBuf {
    root().join("redirector-common/fuzz")
}

/// The corpus in git, which `redirector-common/tests/corpus.rs` replays.
fn seeds(target: Target) -> PathBuf {
    directory().join("corpus").join(target.name())
}

fn scratch(kind: &str, target: Target) -> PathBuf {
    root().join("target/fuzz").join(kind).join(target.name())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}
