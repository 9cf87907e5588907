//! Programs that are run to their end, and programs that end with their owner.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::sys;

/// Ample for everything but a measurement.
pub const LIMIT: u32 = 30;

/// How long a program may take to end when asked to.
const GRACE: Duration = Duration::from_secs(3);

/// Standard output of a program that has to succeed; else the first line it complained with.
pub fn run(command: &Command, seconds: u32) -> Result<String> {
    let output = output(command, seconds)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let program = command.get_program().to_string_lossy();
        bail!(
            "{}",
            complaint(&stderr).unwrap_or_else(|| format!("{program}: {}", output.status))
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a program did, within a time limit.
pub fn output(command: &Command, seconds: u32) -> Result<Output> {
    sys::limit(seconds, command)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", sys::shown(command)))
}

/// The first line that says something.
pub fn complaint(stderr: &str) -> Option<String> {
    let line = stderr
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(line.strip_prefix("error: ").unwrap_or(line).to_owned())
}

/// A program in the background, with a directory for its files.
pub struct Background {
    child: Child,
    directory: TempDir,
}

impl Background {
    pub fn directory() -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix("redirector-bench-")
            .tempdir()
            .context("cannot create a temporary directory")
    }

    pub fn start(command: &mut Command, directory: TempDir) -> Result<Self> {
        let path = directory.path().join("output");
        let output = File::create(&path).context("cannot create a file for the output")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot run {}", sys::shown(command)))?;
        Ok(Self { child, directory })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with what the program said if it has ended.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "{}",
                complaint(&self.said()).unwrap_or_else(|| format!("ended early: {status}"))
            );
        }
        Ok(())
    }

    fn said(&self) -> String {
        let path: PathBuf = self.directory.path().join("output");
        fs::read_to_string(path).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Asked first, because nginx's master has to end its workers.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Fails only for a program that has already ended.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && start.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn the_first_line_that_says_something() {
        assert_eq!(complaint("\n\nerror: no\nusage"), Some("no".to_owned()));
        assert_eq!(
            complaint("nginx: [emerg] no\n"),
            Some("nginx: [emerg] no".to_owned())
        );
        assert_eq!(complaint("\n"), None);
    }
}
