//! A terminal of 80 columns and 24 lines with a shell in it, by tmux.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::netns::Namespace;
use crate::process::{Background, run};
use crate::wait;

/// Dropping it ends the shell and what runs in it.
pub struct Terminal {
    directory: TempDir,
    host: Namespace,
}

impl Terminal {
    pub fn open(on: &Namespace) -> Self {
        let terminal = Self {
            directory: Background::directory(),
            host: on.clone(),
        };
        let shell = "PS1='ready> ' exec bash --norc --noprofile";
        // As in a login: what the tests are called with is not for the shell.
        terminal.tmux(&["new-session", "-d", "-x", "80", "-y", "24", shell]);
        terminal.until("a prompt", |screen| screen.contains("ready>"));
        terminal
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with its escape sequences.
    pub fn screen_with_colors(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    #[track_caller]
    pub fn until(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let start = std::time::Instant::now();
        loop {
            let screen = self.screen();
            if is_it(&screen) {
                return screen;
            }
            last.clone_from(&screen);
            assert!(
                start.elapsed() < wait::DEADLINE,
                "not within {:?}: {what}\n{last}",
                wait::DEADLINE
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Types text and presses Enter.
    pub fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// A key by tmux's name.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    pub fn resize(&self, width: u16, height: u16) {
        let [width, height] = [width, height].map(|size| size.to_string());
        self.tmux(&["resize-window", "-x", &width, "-y", &height]);
    }

    /// Whether the screen is the usual one, and its cursor is there.
    pub fn is_usual(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"])
            .trim()
            == "0 1"
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        run(self.command().args(arguments)).success("tmux")
    }

    fn command(&self) -> Command {
        let mut command = self.host.command("tmux");
        command
            .env("TERM", "xterm-256color")
            .env_remove("TMUX")
            .env_remove("NO_COLOR");
        command
            .args(["-f", "/dev/null", "-u", "-S"])
            .arg(self.socket());
        command
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("tmux")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Fails only where the server has ended already.
        let _ = self.command().arg("kill-server").output();
    }
}
