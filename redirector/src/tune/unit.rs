//! Services of systemd: their names, and which one a process belongs to.

use std::{fmt, str::FromStr};

use procfs::process::Process;

use super::Error;
use crate::holders::Holder;

const SUFFIX: &str = ".service";

/// The name of a service, such as `myapp.service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit(String);

/// Whose limits a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Service(Unit),
    /// Of a user's own manager.
    UserService(String),
    /// Of a session, a container and the like, which began outside systemd.
    Scope(String),
    /// Nobody's that is known.
    None,
}

impl Unit {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As systemctl(1) does, a name without a suffix is that of a service.
impl FromStr for Unit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = match text.contains('.') && text.ends_with(SUFFIX) {
            true => text.to_owned(),
            false => format!("{text}{SUFFIX}"),
        };
        let is_other = [".socket", ".scope", ".slice", ".timer", ".target", ".mount"]
            .iter()
            .any(|suffix| text.ends_with(suffix));
        // `unit_name_is_valid()` in `src/basic/unit-name.c` of systemd.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let prefix = name.trim_end_matches(SUFFIX);
        let is_valid = !prefix.is_empty()
            && !prefix.starts_with(['@', '-', '.'])
            && name.len() < 256
            && name.bytes().all(allowed);
        match is_valid && !is_other {
            true => Ok(Self(name)),
            false => Err(Error::Unit(text.to_owned())),
        }
    }
}

impl Owner {
    pub fn of(process: &Holder) -> Self {
        let cgroups = Process::new(process.pid).and_then(|process| process.cgroups());
        let Ok(cgroups) = cgroups else {
            return Self::None;
        };
        let of_systemd = |controllers: &[String]| {
            controllers.is_empty() || controllers.iter().any(|each| each == "name=systemd")
        };
        let mut groups = cgroups
            .into_iter()
            .filter(|group| of_systemd(&group.controllers));
        groups
            .find_map(|group| match Self::of_path(&group.pathname) {
                Self::None => None,
                owner => Some(owner),
            })
            .unwrap_or(Self::None)
    }

    /// `cg_path_get_unit()` in `src/basic/cgroup-util.c` of systemd: behind the slices the first is the
    /// unit, and what is behind it is its own.
    fn of_path(path: &str) -> Self {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let mut parts = parts.skip_while(|part| part.ends_with(".slice"));
        // A name that would clash with the kernel's files has an underscore before it.
        let Some(first) = parts
            .next()
            .map(|part| part.strip_prefix('_').unwrap_or(part))
        else {
            return Self::None;
        };
        if first.starts_with("user@") && first.ends_with(SUFFIX) {
            let own = parts.find(|part| part.ends_with(SUFFIX)).unwrap_or(first);
            return Self::UserService(own.to_owned());
        }
        if first.ends_with(".scope") {
            return Self::Scope(first.to_owned());
        }
        match first.ends_with(SUFFIX) {
            true => first.parse().map_or(Self::None, Self::Service),
            false => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services() {
        for (text, name) in [
            ("myapp", "myapp.service"),
            ("myapp.service", "myapp.service"),
            ("my.app", "my.app.service"),
            ("app@1.service", "app@1.service"),
            (r"dev-sd\x2da", r"dev-sd\x2da.service"),
        ] {
            assert_eq!(text.parse::<Unit>().unwrap().as_str(), name);
        }
        for text in [
            "",
            ".service",
            "../../etc/passwd",
            "a/b",
            "a b",
            "myapp.socket",
            "docker.slice",
            "a\n",
        ] {
            assert!(text.parse::<Unit>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_unit_of_a_cgroup() {
        let service = |name: &str| Owner::Service(name.parse().unwrap());
        for (path, owner) in [
            ("/", Owner::None),
            ("/system.slice/nginx.service", service("nginx.service")),
            (
                "/system.slice/system-app.slice/app@1.service",
                service("app@1.service"),
            ),
            (
                "/system.slice/app.service/workers/one.service",
                service("app.service"),
            ),
            ("/system.slice/_cgroup.service", service("cgroup.service")),
            (
                "/user.slice/user-0.slice/session-1.scope",
                Owner::Scope("session-1.scope".into()),
            ),
            (
                "/system.slice/docker-0123.scope",
                Owner::Scope("docker-0123.scope".into()),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                Owner::UserService("web.service".into()),
            ),
            ("/kubepods/pod1/abc", Owner::None),
        ] {
            assert_eq!(Owner::of_path(path), owner, "{path}");
        }
    }
}
