//! One function for each kind of package; each gives the file it made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{binary, directory, tools};
use crate::{sys, workspace};

/// Also looked at by lintian, whose errors fail it.
pub fn deb(version: Option<&str>) -> Result<PathBuf> {
    let package = directory().join(match version {
        Some(version) => format!("redirector_{version}.deb"),
        None => "redirector.deb".to_owned(),
    });
    let mut deb = tools::CARGO_DEB.command()?;
    deb.args(["--no-build", "--no-strip", "--package", "redirector"])
        .args(["--target", &binary::target()])
        .arg("--output")
        .arg(&package);
    if let Some(version) = version {
        deb.args(["--deb-version", version]);
    }
    sys::announce("cargo-deb", &mut deb)?;
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--allow-root", "--fail-on", "error"])
        .arg(&package);
    sys::announce("lintian", &mut lintian)?;
    Ok(package)
}

pub fn rpm() -> Result<PathBuf> {
    let package = directory().join("redirector.rpm");
    let mut rpm = tools::CARGO_GENERATE_RPM.command()?;
    rpm.args(["--package", "redirector", "--target", &binary::target()])
        .arg("--output")
        .arg(&package);
    sys::announce("cargo-generate-rpm", &mut rpm)?;
    Ok(package)
}

/// One directory, whose INSTALL tells where each file belongs.
pub fn tarball(binary: &Path) -> Result<PathBuf> {
    let name = format!("redirector-{}-linux", std::env::consts::ARCH);
    let tree = directory().join(&name);
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let root = workspace::root();
    let sources = root.join("redirector/package");
    for part in ["man", "completions", "systemd"] {
        copy_all(&directory().join(part), &tree.join(part))?;
    }
    for (file, to) in [
        (binary.to_owned(), "bin/redirector"),
        (sources.join("config.toml"), "config.toml"),
        (sources.join("redirector.toml.5"), "man/redirector.toml.5"),
        (sources.join("INSTALL"), "INSTALL"),
        (root.join("LICENSE-APACHE"), "LICENSE-APACHE"),
        (root.join("LICENSE-MIT"), "LICENSE-MIT"),
        (root.join("README.md"), "README.md"),
    ] {
        copy(&file, &tree.join(to))?;
    }
    copy_all(&root.join("docs"), &tree.join("docs"))?;
    let package = directory().join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--sort=name", "--mtime=@0"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .arg("--file")
        .arg(&package)
        .arg("--directory")
        .arg(directory())
        .arg(&name);
    sys::announce("tar", &mut tar)?;
    fs::remove_dir_all(&tree)?;
    Ok(package)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    for file in fs::read_dir(from)? {
        let file = file?.path();
        copy(&file, &to.join(file.file_name().context("a file's name")?))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().context("a file in a directory")?;
    fs::create_dir_all(directory)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tarball_tells_how_each_unit_is_removed() {
        let sources = workspace::root().join("redirector/package");
        let text = fs::read_to_string(sources.join("INSTALL")).expect("INSTALL");
        let (_, removal) = text.split_once("\nRemove\n").expect("how to remove it");
        let units = fs::read_dir(sources.join("systemd")).expect("units");
        let names = units.map(|unit| unit.expect("a unit").file_name());
        for name in names.chain(["redirector@.service".into()]) {
            let path = format!(" /etc/systemd/system/{}", name.to_string_lossy());
            assert!(removal.contains(&path), "{path}");
        }
    }
}
