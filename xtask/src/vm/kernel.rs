//! Debian's kernels, unpacked below `target/vm`.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
};

use anyhow::{Context as _, Result, ensure};

use super::apt;
use crate::{sys, workspace};

/// The newest that Debian 12 offers.
pub const DEFAULT: &str = "6.12";

/// Of virtual machines: a third of the modules, all of the network's.
const FLAVOUR: &str = "-cloud-amd64";

/// The first two numbers of a kernel's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    major: u32,
    minor: u32,
}

/// An unpacked kernel.
pub struct Kernel {
    pub image: PathBuf,
    /// Holds `lib/modules/VERSION`, and nothing else.
    pub root: PathBuf,
}

impl Kernel {
    /// As `uname -r` has it.
    pub fn version(&self) -> Result<String> {
        only_name_in(&self.root.join("lib/modules"))
    }
}

impl Release {
    /// Downloads and unpacks the newest package of this release, unless one is there.
    pub fn install(self) -> Result<Kernel> {
        ensure!(
            cfg!(target_arch = "x86_64"),
            "the virtual machine is an x86-64 one, this host is not"
        );
        let directory = workspace::virtual_machines().join(format!("linux-{self}"));
        if !directory.is_dir() {
            self.unpack_to(&directory)?;
        }
        Ok(Kernel {
            image: directory.join("vmlinuz"),
            root: directory.join("root"),
        })
    }

    fn unpack_to(self, directory: &Path) -> Result<()> {
        let apt = apt::Private::open(&workspace::virtual_machines().join("apt"))?;
        let pattern = format!(
            r"^linux-image-{}\.{}\.[0-9].*{FLAVOUR}$",
            self.major, self.minor
        );
        let package = apt
            .search(&pattern)
            .into_iter()
            .max_by_key(|name| numbers(name))
            .with_context(|| format!("apt knows no kernel {self}"))?;
        let file = apt.download(&package)?;
        // Complete or not there: a run that is interrupted leaves another name.
        let unfinished = directory.with_file_name(format!("linux-{self}.new"));
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        unpack(&file, &unfinished)?;
        fs::rename(&unfinished, directory)?;
        fs::remove_file(&file)?;
        Ok(())
    }
}

impl Default for Release {
    fn default() -> Self {
        Self {
            major: 6,
            minor: 12,
        }
    }
}

impl FromStr for Release {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('.').and_then(|(major, minor)| {
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        });
        numbers.ok_or("two numbers with a dot between, such as 6.12")
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

fn unpack(package: &Path, directory: &Path) -> Result<()> {
    let content = directory.join("package");
    fs::create_dir_all(&content)?;
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("--extract").arg(package).arg(&content);
    sys::announce("unpacking the kernel", &mut dpkg)?;

    let root = directory.join("root");
    fs::create_dir_all(root.join("lib"))?;
    // Debian 13 has no /lib of its own.
    let modules = ["lib/modules", "usr/lib/modules"]
        .iter()
        .map(|path| content.join(path))
        .find(|path| path.is_dir())
        .context("a kernel package without modules")?;
    fs::rename(modules, root.join("lib/modules"))?;
    let version = only_name_in(&root.join("lib/modules"))?;
    fs::rename(
        content.join(format!("boot/vmlinuz-{version}")),
        directory.join("vmlinuz"),
    )?;
    fs::remove_dir_all(&content)?;
    let depmod = sys::which("depmod").context("there is no depmod here")?;
    sys::announce(
        "depmod",
        Command::new(depmod).arg("-b").arg(&root).arg(&version),
    )
}

fn only_name_in(directory: &Path) -> Result<String> {
    let entry = fs::read_dir(directory)?
        .next()
        .with_context(|| format!("nothing in {}", directory.display()))??;
    entry
        .file_name()
        .into_string()
        .ok()
        .context("a name that is not UTF-8")
}

fn numbers(package: &str) -> Vec<u32> {
    let version = package.strip_suffix(FLAVOUR).unwrap_or(package);
    version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, FLAVOUR, Release, numbers};

    #[test]
    fn a_release_is_two_numbers() {
        assert_eq!(DEFAULT.parse(), Ok(Release::default()));
        assert_eq!("6.1".parse(), Ok(Release { major: 6, minor: 1 }));
        assert!("6".parse::<Release>().is_err());
        assert!("6.1.0".parse::<Release>().is_err());
    }

    #[test]
    fn packages_compare_as_numbers() {
        let name = |version| numbers(&format!("linux-image-{version}{FLAVOUR}"));
        assert!(name("6.12.95+deb12") > name("6.12.9+deb12"));
        assert!(name("6.1.0-50") > name("6.1.0-9"));
        assert!(name("6.12.90+deb12.1") > name("6.12.90+deb12"));
    }
}
