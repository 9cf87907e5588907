//! Python modules that tests ask, below `target/tools/python`.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Result;

use crate::{sys, workspace};

/// Brings the schemas of Kubernetes' API, so that no cluster is asked.
const MODULE: &str = "kubernetes-validate==1.37.0";

/// Returns whether anything had to be done.
pub fn ensure() -> Result<bool> {
    let directory = workspace::root().join("target/tools/python");
    if directory.is_dir() {
        return Ok(false);
    }
    // Complete or not there.
    let unfinished: PathBuf = directory.with_extension("new");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"])
        .args(["--root-user-action", "ignore", "--target"])
        .arg(&unfinished)
        .arg(MODULE);
    sys::announce("pip", &mut sys::limit(600, &pip))?;
    fs::rename(&unfinished, &directory)?;
    Ok(true)
}
