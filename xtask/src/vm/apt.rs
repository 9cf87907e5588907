//! An apt of our own, with the host's mirrors and their backports: the host's apt stays as it is.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::sys;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

pub struct Private {
    directory: PathBuf,
}

impl Private {
    /// With fresh lists.
    pub fn open(directory: &Path) -> Result<Self> {
        for needed in ["lists/partial", "cache/archives/partial"] {
            let path = directory.join(needed);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let apt = Self {
            directory: directory.to_owned(),
        };
        fs::write(directory.join("sources.list"), sources()?)?;
        fs::write(directory.join("apt.conf"), apt.configuration())?;
        let mut update = apt.command("apt-get");
        update.arg("update");
        sys::announce("apt-get update", &mut sys::limit(300, &update))?;
        Ok(apt)
    }

    /// Names of packages.
    pub fn search(&self, pattern: &str) -> Vec<String> {
        let mut search = self.command("apt-cache");
        search.args(["search", "--names-only", pattern]);
        let list = sys::ask(&mut search).unwrap_or_default();
        list.lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    pub fn download(&self, package: &str) -> Result<PathBuf> {
        let mut download = self.command("apt-get");
        download
            .args(["download", package])
            .current_dir(&self.directory);
        sys::announce("the download of a kernel", &mut sys::limit(600, &download))?;
        let prefix = format!("{package}_");
        fs::read_dir(&self.directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            })
            .with_context(|| format!("apt-get download brought no {package}"))
    }

    /// An `apt-get` that prefers the backports, and installs on the host.
    pub fn apt_get_backports(&self) -> Result<Command> {
        let mut apt = self.command("apt-get");
        apt.arg(format!("--target-release={}-backports", codename()?));
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.arg("-c").arg(self.directory.join("apt.conf"));
        apt
    }

    /// Read after the host's configuration, whose proxies hold here too; its hooks would write to
    /// the host's directories.
    fn configuration(&self) -> String {
        let directory = self.directory.display();
        format!(
            "#clear APT::Update::Post-Invoke;
             #clear APT::Update::Post-Invoke-Success;
             APT::Sandbox::User \"\";
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";
             Acquire::Languages \"none\";
             Acquire::Retries \"1\";
             Acquire::http::Timeout \"10\";
             Acquire::https::Timeout \"10\";
             Dir::Cache \"{directory}/cache\";
             Dir::Etc::sourcelist \"{directory}/sources.list\";
             Dir::Etc::sourceparts \"/dev/null\";
             Dir::State::lists \"{directory}/lists\";\n"
        )
    }
}

/// The suites of this distribution that the host knows, and the backports of its first.
fn sources() -> Result<String> {
    let codename = codename()?;
    let uris = sys::ask(Command::new("apt-get").args(["update", "--print-uris"]))
        .context("apt-get does not tell its sources")?;
    Ok(render(&suites(&uris, &codename)))
}

fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("a distribution without a code name")?;
    Ok(codename.to_owned())
}

/// Mirror and suite, from lines such as `'http://MIRROR/dists/SUITE/InRelease' FILE 0`.
fn suites(uris: &str, codename: &str) -> Vec<(String, String)> {
    let backports = format!("{codename}-backports");
    let mut suites = Vec::new();
    for line in uris.lines() {
        let suite = line
            .strip_prefix('\'')
            .and_then(|line| line.split_once("/InRelease'"))
            .and_then(|(uri, _)| uri.split_once("/dists/"));
        let Some((mirror, suite)) = suite else {
            continue;
        };
        if suite
            .strip_prefix(codename)
            .is_none_or(|rest| !(rest.is_empty() || rest.starts_with('-')))
        {
            continue;
        }
        suites.push((mirror.to_owned(), suite.to_owned()));
        if suite == codename {
            suites.push((mirror.to_owned(), backports.clone()));
        }
    }
    suites.sort();
    suites.dedup();
    suites
}

fn render(suites: &[(String, String)]) -> String {
    let signed = if Path::new(KEYRING).is_file() {
        format!("[signed-by={KEYRING}] ")
    } else {
        String::new()
    };
    let mut list = String::new();
    for (mirror, suite) in suites {
        // Writing to a string cannot fail.
        let _ = writeln!(list, "deb {signed}{mirror} {suite} main");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::suites;

    #[test]
    fn backports_come_from_the_mirror_of_the_release() {
        let uris = "\
'http://mirror.test/debian/dists/bookworm/InRelease' mirror_bookworm_InRelease 0
'http://mirror.test/security/dists/bookworm-security/InRelease' security_InRelease 0
'http://mirror.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' packages 0
'http://other.test/dists/nodistro/InRelease' other_InRelease 0
";
        let expected = [
            ("http://mirror.test/debian", "bookworm"),
            ("http://mirror.test/debian", "bookworm-backports"),
            ("http://mirror.test/security", "bookworm-security"),
        ];
        let expected = expected.map(|(mirror, suite)| (mirror.to_owned(), suite.to_owned()));
        assert_eq!(suites(uris, "bookworm"), expected);
    }
}
