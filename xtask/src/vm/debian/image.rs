//! The disk of a fresh Debian, made once below `target/vm` for each kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    sys::{self, Privilege},
    vm::kernel::{Kernel, Release},
    workspace,
};

const SUITE: &str = "bookworm";
/// The programs that the proof runs, and what makes them a machine.
const PACKAGES: &str = "systemd-sysv,libnss-systemd,dbus,udev,kmod,netbase,iproute2,procps,\
    nftables,curl,wrk,nginx-light";
const SIZE: &str = "1500M";

/// What a fresh system gets besides: path, text.
const FILES: [(&str, &str); 6] = [
    ("etc/hostname", "proof\n"),
    ("etc/fstab", "/dev/vda / ext4 defaults 0 1\n"),
    (
        "etc/systemd/network/eth0.network",
        "[Match]\nName=eth0\n\n[Network]\nDHCP=ipv4\n",
    ),
    ("etc/app/nginx.conf", include_str!("nginx.conf")),
    (
        "etc/systemd/system/app.service",
        include_str!("app.service"),
    ),
    (
        "etc/systemd/system/proof.service",
        include_str!("proof.service"),
    ),
];

pub fn base(kernel: &Kernel, release: Release) -> Result<PathBuf> {
    let image = workspace::virtual_machines().join(format!("debian-{release}.img"));
    if image.is_file() {
        return Ok(image);
    }
    let tree = debian()?;
    let privilege = privilege()?;
    let root = |command: Command| sys::announce("the image", &mut privilege.apply(command));
    let modules = kernel.root.join("lib/modules");
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--no-target-directory"])
        .arg(&modules)
        .arg(tree.join("lib/modules"));
    root(copy)?;
    let unfinished = image.with_extension("new");
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-d"])
        .arg(&tree)
        .arg(&unfinished)
        .arg(SIZE);
    root(make)?;
    fs::rename(&unfinished, &image)?;
    Ok(image)
}

/// A directory with a root file system, owned by root.
fn debian() -> Result<PathBuf> {
    let tree = workspace::virtual_machines().join("debian");
    if tree.is_dir() {
        return Ok(tree);
    }
    let privilege = privilege()?;
    let unfinished = tree.with_extension("new");
    remove(privilege, &unfinished)?;
    fs::create_dir_all(workspace::virtual_machines())?;
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
        .arg(&unfinished);
    let debootstrap = sys::limit(1800, &debootstrap);
    sys::announce("debootstrap", &mut privilege.apply(debootstrap))?;
    for (path, text) in FILES {
        write(privilege, &unfinished.join(path), text)?;
    }
    for words in [
        &[
            "mask",
            "nginx.service",
            "systemd-networkd-wait-online.service",
        ][..],
        &[
            "enable",
            "systemd-networkd.service",
            "app.service",
            "proof.service",
        ],
    ] {
        let mut systemctl = Command::new("systemctl");
        systemctl.arg("--root").arg(&unfinished).args(words);
        sys::announce("systemctl", &mut privilege.apply(systemctl))?;
    }
    let mut rename = Command::new("mv");
    rename.arg(&unfinished).arg(&tree);
    sys::run("mv", &mut privilege.apply(rename))?;
    Ok(tree)
}

fn write(privilege: Privilege, path: &Path, text: &str) -> Result<()> {
    let scratch = workspace::virtual_machines().join("scratch");
    fs::write(&scratch, text)?;
    let mut install = Command::new("install");
    install.args(["-D", "--mode=644"]).arg(&scratch).arg(path);
    sys::run("install", &mut privilege.apply(install))?;
    fs::remove_file(&scratch).context("cannot remove what was installed")
}

fn remove(privilege: Privilege, directory: &Path) -> Result<()> {
    let mut remove = Command::new("rm");
    remove.arg("-rf").arg(directory);
    sys::run("rm", &mut privilege.apply(remove))
}

fn privilege() -> Result<Privilege> {
    match Privilege::obtain() {
        Privilege::None => bail!("a root file system needs root, and sudo does not give it here"),
        privilege => Ok(privilege),
    }
}
