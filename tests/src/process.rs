//! Programs that are run to their end, and programs that are ended with their owner.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::redirector::json;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(180);

#[derive(Clone, Debug)]
pub struct Output {
    /// `None` when a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that must have succeeded.
    #[track_caller]
    pub fn success(self, what: &str) -> String {
        assert_eq!(self.code, Some(0), "{what}: {self:#?}");
        self.stdout
    }
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started, or does not end in time (it is then killed).
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(LIMIT) else {
        signal(pid, Signal::SIGKILL);
        panic!("did not end within {LIMIT:?}: {command:?}");
    };
    let output = output.unwrap_or_else(|error| panic!("cannot read from {command:?}: {error}"));
    Output {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program in the background, with a directory of its own. Dropping it ends the program.
pub struct Background {
    child: Child,
    directory: TempDir,
}

impl Background {
    pub fn directory() -> TempDir {
        tempfile::Builder::new()
            .prefix("redirector-test-")
            .tempdir()
            .expect("a temporary directory")
    }

    /// Starts `command`; its output goes to two files in `directory`.
    #[track_caller]
    pub fn start(command: &mut Command, directory: TempDir) -> Self {
        let [stdout, stderr] = ["stdout", "stderr"]
            .map(|name| File::create(directory.path().join(name)).expect("a file for the output"));
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, directory }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// The documents on its standard output, of the lines that are complete.
    pub fn documents(&self) -> Vec<Value> {
        let text = self.stdout();
        let (lines, _) = text.rsplit_once('\n').unwrap_or_default();
        lines.lines().map(json).collect()
    }

    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// True while the program runs.
    ///
    /// # Panics
    /// With its standard error when it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the state of a child") {
            panic!("ended early, {status}: {}", self.stderr());
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        self::signal(self.child.id(), signal);
    }

    /// Stops it, until SIGCONT, and waits until it has stopped.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let path = format!("/proc/{}/stat", self.pid());
        wait::until("it has stopped", || {
            let stat = fs::read_to_string(&path).expect("its state");
            // Behind the name, which may have anything in it (proc_pid_stat(5)).
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" T"))
        });
    }

    /// Asks the program to end, and waits until it has. The exit code as in [`Output`].
    pub fn interrupt(&mut self) -> Option<i32> {
        self.signal(Signal::SIGINT);
        self.end()
    }

    /// Waits until the program ends by itself. The exit code as in [`Output`].
    pub fn end(&mut self) -> Option<i32> {
        let status = wait::until_some("the end of a child", || {
            self.child.try_wait().expect("the state of a child")
        });
        status.code()
    }

    fn read(&self, file: &str) -> String {
        let mut text = String::new();
        if let Ok(mut file) = File::open(self.path(file)) {
            // A line that is being written may end inside a character.
            let _ = file.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Both fail only for a program that has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid fits in i32"));
    // Fails only for a program that has already ended.
    let _ = kill(pid, signal);
}
