//! Users other than root.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Background;
use crate::redirector::{Instance, binary};

pub const NOBODY: &str = "65534";

/// Somebody without any capability, and a copy of the binary in a directory that anybody may enter.
pub struct User(TempDir);

impl User {
    /// # Panics
    /// When the copy cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        let directory = Background::directory();
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("a directory for everybody");
        let user = Self(directory);
        fs::copy(binary(), user.binary()).expect("a copy of the binary");
        user
    }

    pub fn binary(&self) -> PathBuf {
        self.0.path().join("redirector")
    }

    pub fn command(&self, instance: &Instance, verb: &str, arguments: &str) -> Command {
        let setpriv = instance.host().command("setpriv");
        self.on(setpriv, instance.name(), verb, arguments)
    }

    /// Of a host whose setpriv this is.
    pub fn on(&self, mut command: Command, name: &str, verb: &str, arguments: &str) -> Command {
        command
            .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
            .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
            .arg(self.binary())
            .args([verb, "--name", name])
            .args(arguments.split_whitespace());
        command
    }
}
