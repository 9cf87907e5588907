//! Debian packages.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{
    sys::{self, Privilege},
    vm::Private,
    workspace,
};

/// A package, and the reason to ask for it.
#[derive(Clone, Copy)]
pub struct Package {
    pub name: &'static str,
    pub why: &'static str,
    /// A service of it that is not to start at boot: we only want the program.
    pub service: Option<&'static str>,
    /// Another package of the same source, whose version it must have if the host has that.
    pub sibling: Option<&'static str>,
}

impl Package {
    /// Whether the host's sources may not have the version of its sibling.
    fn is_from_backports(&self) -> bool {
        self.sibling.is_some_and(|sibling| {
            let mut query = Command::new("dpkg-query");
            query.args(["-W", "-f=${Version}", sibling]);
            sys::ask(&mut query).is_some_and(|version| version.contains("~bpo"))
        })
    }
}

const OPTIONS: [&str; 11] = [
    "-y",
    "--no-install-recommends",
    // rustc-web conflicts with rustc and rustup: those are not ours to take away.
    "--no-remove",
    "-o",
    "Acquire::http::Timeout=10",
    "-o",
    "Acquire::https::Timeout=10",
    "-o",
    "Acquire::Retries=1",
    "-o",
    "DPkg::Lock::Timeout=120",
];

/// Runs its arguments while policy-rc.d keeps services from being started.
const WITHOUT_SERVICES: &str = r#"
guard=/usr/sbin/policy-rc.d
if [ ! -e $guard ]; then
    trap 'rm -f $guard' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >$guard
    chmod 755 $guard
fi
"$@"
"#;

/// Prints what is missing and installs it, or says what to type.
pub fn install(packages: &[Package]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("missing:");
    for package in packages {
        eprintln!("    {:<12} {}", package.name, package.why);
    }
    let (backports, usual): (Vec<_>, Vec<_>) = packages
        .iter()
        .partition(|package| package.is_from_backports());
    let names = |of: &[&Package]| of.iter().map(|package| package.name).collect::<Vec<_>>();
    let all: Vec<_> = packages.iter().map(|package| package.name).collect();
    if sys::which("apt-get").is_none() {
        bail!("there is no apt-get here: what is missing has to come from elsewhere");
    }
    let privilege = Privilege::obtain();
    if privilege == Privilege::None {
        bail!("{}", by_hand(&all));
    }
    if !usual.is_empty() {
        update(privilege);
        install_with(privilege, &apt_get(), &names(&usual))?;
    }
    if !backports.is_empty() {
        let private = Private::open(&workspace::virtual_machines().join("apt"))?;
        install_with(privilege, &private.apt_get_backports()?, &names(&backports))?;
    }
    packages
        .iter()
        .filter_map(|package| package.service)
        .try_for_each(|service| disable(privilege, service))
}

fn by_hand(names: &[&str]) -> String {
    format!(
        "installing packages needs root, and sudo does not give it here. As root, type\n    \
         apt-get update\n    \
         apt-get install --no-install-recommends {}\n\
         and then this command again",
        names.join(" ")
    )
}

fn update(privilege: Privilege) {
    // A list that cannot be refreshed may still be good enough.
    let update = sys::limit(300, &with(&apt_get(), &["update"], &[]));
    if let Err(error) = sys::announce("apt-get update", &mut privilege.apply(update)) {
        eprintln!("warning: {error:#}");
    }
}

fn install_with(privilege: Privilege, apt: &Command, names: &[&str]) -> Result<()> {
    let download = sys::limit(1200, &with(apt, &["install", "--download-only"], names));
    sys::announce("the download", &mut privilege.apply(download))?;
    // No network and no time limit from here on: killing dpkg half-way breaks the host.
    let unpack = with(apt, &["install", "--no-download"], names);
    eprintln!("+ {} (services stay off)", sys::shown(&unpack));
    sys::run(
        "apt-get install",
        &mut privilege.apply(without_services(&unpack)),
    )
}

fn apt_get() -> Command {
    Command::new("apt-get")
}

fn with(apt: &Command, words: &[&str], names: &[&str]) -> Command {
    let mut command = Command::new(apt.get_program());
    command
        .args(apt.get_args())
        .args(OPTIONS)
        .args(words)
        .args(names)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn without_services(command: &Command) -> Command {
    let shell = ["sh", "-c", WITHOUT_SERVICES, "sh"];
    sys::wrap(shell.map(Into::into), command)
}

fn disable(privilege: Privilege, service: &str) -> Result<()> {
    // Of init-system-helpers: knows about systemd where there is one.
    let mut update = Command::new("update-rc.d");
    update.args([service, "disable"]);
    sys::announce("update-rc.d", &mut privilege.apply(update))
}
