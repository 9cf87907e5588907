//! The tests, cheapest first, up to the first that fails.

use std::{
    fmt, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use super::{copy::Copy, mutation::Mutation};
use crate::{sys, test, workspace};

/// Integration tests that catch most in little time; the others follow in the order of their names.
const FIRST: [&str; 9] = [
    "differential",
    "serve",
    "untouched",
    "untouched_syn",
    "reload",
    "counters",
    "interfaces",
    "transfer",
    "scenarios",
];

/// Needs modules that this kernel may lack.
const ELSEWHERE: &str = "vm";

/// Seconds for one build, or one file of tests.
const LIMIT: u32 = 900;

pub enum Outcome {
    Survived,
    /// The file of tests and the first of it that failed.
    Caught(String),
    /// What failed to build.
    Unbuilt(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Survived => write!(f, "SURVIVED"),
            Self::Caught(by) => write!(f, "{by}"),
            Self::Unbuilt(what) => write!(f, "DOES NOT BUILD: {what}"),
        }
    }
}

pub struct Suite<'a> {
    copy: &'a Copy,
    /// Names of files; none where only native tests are asked for.
    integration: Vec<String>,
    log: PathBuf,
}

impl<'a> Suite<'a> {
    pub fn of(copy: &'a Copy, is_native: bool) -> Result<Self> {
        let mut integration = Vec::new();
        if !is_native {
            for file in fs::read_dir(copy.path("tests/tests"))? {
                let path = file?.path();
                integration.extend(path.file_stem().map(|stem| stem.to_string_lossy().into()));
            }
        }
        integration.retain(|name: &String| name != ELSEWHERE);
        integration.sort_by_key(|name| {
            let place = FIRST.iter().position(|first| first == name);
            (place.unwrap_or(FIRST.len()), name.clone())
        });
        Ok(Self {
            copy,
            integration,
            log: workspace::root().join("target/mutants/log"),
        })
    }

    pub fn run_all(&self) -> Result<Outcome> {
        match self.native()? {
            Outcome::Survived => self.integration(&self.integration),
            outcome => Ok(outcome),
        }
    }

    pub fn run(&self, mutation: &Mutation) -> Result<Outcome> {
        if mutation.is_native() {
            match self.native()? {
                Outcome::Survived => {}
                outcome => return Ok(outcome),
            }
        }
        let is_first = |test: &&String| mutation.tests.contains(test);
        let others = self.integration.iter().filter(|test| !is_first(test));
        let tests: Vec<_> = mutation.tests.iter().chain(others).cloned().collect();
        self.integration(&tests)
    }

    fn native(&self) -> Result<Outcome> {
        let cargo = || {
            let mut cargo = self.copy.cargo();
            cargo
                .args([
                    "test",
                    "--quiet",
                    "--package",
                    "redirector-common",
                    "--tests",
                ])
                .env("PROPTEST_MAX_SHRINK_ITERS", "0");
            cargo
        };
        self.test("native", &cargo, &[])
    }

    fn integration(&self, tests: &[String]) -> Result<Outcome> {
        if tests.is_empty() {
            return Ok(Outcome::Survived);
        }
        // Not the release binary: the programs in it are the same, and the tests need the library in
        // this profile anyway.
        let mut build = self.copy.cargo();
        build.args(["build", "--package", "redirector"]);
        if !self.succeeds(&build)? {
            return Ok(Outcome::Unbuilt("redirector".to_owned()));
        }
        let binary = self.copy.path("target/debug/redirector");
        for test in tests {
            let mut words = test.split_whitespace();
            let name = words.next().unwrap_or_default();
            let filters: Vec<_> = words.collect();
            let cargo = || {
                let mut cargo = self.copy.cargo();
                cargo.args(["test", "--package", "integration", "--test", name]);
                test::as_root(&mut cargo, &binary, &[]);
                cargo
            };
            match self.test(name, &cargo, &filters)? {
                Outcome::Survived => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Survived)
    }

    /// Builds and runs, so that one failure is told from the other.
    fn test(&self, name: &str, cargo: &dyn Fn() -> Command, filters: &[&str]) -> Result<Outcome> {
        let mut build = cargo();
        build.arg("--no-run");
        if !self.succeeds(&build)? {
            return Ok(Outcome::Unbuilt(name.to_owned()));
        }
        let mut run = cargo();
        run.arg("--").args(filters);
        if self.succeeds(&run)? {
            return Ok(Outcome::Survived);
        }
        Ok(Outcome::Caught(self.first_failure(name)?))
    }

    /// What the command prints goes to the log, which holds the latest one's.
    fn succeeds(&self, command: &Command) -> Result<bool> {
        let log = fs::File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = sys::limit(LIMIT, command);
        let status = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .status()
            .with_context(|| format!("cannot run {}", sys::shown(&command)))?;
        Ok(status.success())
    }

    /// The last list of libtest's, and the file that cargo says to run again.
    fn first_failure(&self, name: &str) -> Result<String> {
        let log = fs::read(&self.log)?;
        let log = String::from_utf8_lossy(&log);
        let again = log.lines().find_map(|line| line.split_once("rerun pass `"));
        let file = again
            .and_then(|(_, words)| words.trim_end_matches('`').rsplit(' ').next())
            .map_or(name, |word| word.trim_start_matches('-'));
        let list = log
            .rsplit_once("\nfailures:\n")
            .map_or("", |(_, list)| list);
        let failed: Vec<_> = list
            .lines()
            .map_while(|line| line.strip_prefix("    "))
            .collect();
        Ok(match failed[..] {
            [] => format!("{file}, which stopped"),
            [one] => format!("{file}: {one}"),
            [first, ..] => format!("{file}: {first} and {} more", failed.len() - 1),
        })
    }
}
