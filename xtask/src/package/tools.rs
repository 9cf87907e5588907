//! The programs that make packages, below `target/tools`.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{sys, workspace};

pub struct Tool {
    name: &'static str,
    version: &'static str,
}

pub const CARGO_DEB: Tool = Tool {
    name: "cargo-deb",
    version: "3.8.0",
};

pub const CARGO_GENERATE_RPM: Tool = Tool {
    name: "cargo-generate-rpm",
    version: "0.21.1",
};

impl Tool {
    /// Builds it unless it is there.
    pub fn command(&self) -> Result<Command> {
        let root = workspace::root().join("target/tools");
        let program: PathBuf = root.join("bin").join(self.name);
        if !program.is_file() {
            let mut install = workspace::cargo();
            install
                .args(["install", self.name, "--version", self.version, "--locked"])
                .arg("--root")
                .arg(&root);
            let what = format!("building {}", self.name);
            sys::announce(&what, &mut sys::limit(1800, &install))?;
        }
        let mut command = Command::new(program);
        command.current_dir(workspace::root());
        Ok(command)
    }
}
