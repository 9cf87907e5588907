//! Network namespaces share one bpffs, and so the pins of all of them are seen from each.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Error, sys};

/// Where an instance was loaded, seen from the calling thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    /// In another network namespace.
    Elsewhere(Way),
    /// In one that nobody knows of any more, and nothing is attached anywhere.
    Gone,
}

/// How to enter another network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A file that stands for it.
    File(PathBuf),
    /// A process in it.
    Process(u32),
    /// Not found: another mount or pid namespace may know.
    Unknown,
}

impl Place {
    /// The stable name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Elsewhere(_) => "elsewhere",
            Self::Gone => "gone",
        }
    }
}

impl Way {
    /// To the namespace with this inode.
    pub fn to(inode: u64) -> Self {
        let is_it = |path: &Path| identity(path) == Some(inode);
        let host = Path::new("/proc/1/ns/net");
        let mut files = named();
        files.sort();
        files.push(host.to_owned());
        if let Some(file) = files.into_iter().find(|path| is_it(path)) {
            return Self::File(file);
        }
        processes()
            .find(|pid| is_it(Path::new(&format!("/proc/{pid}/ns/net"))))
            .map_or(Self::Unknown, Self::Process)
    }
}

/// As the beginning of a command line.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "nsenter --net={}", path.display()),
            Self::Process(pid) => write!(f, "nsenter --net --target {pid}"),
            Self::Unknown => f.write_str("nsenter --net=FILE"),
        }
    }
}

/// The inode of the calling thread's network namespace.
pub fn current() -> Result<u64, Error> {
    let path = "/proc/thread-self/ns/net";
    fs::metadata(path)
        .map(|metadata| metadata.ino())
        .map_err(Error::io("look at", path))
}

/// What no other network namespace has until the next boot; the calling thread's.
pub fn cookie() -> io::Result<u64> {
    sys::namespace_cookie()
}

/// Whether the first process is in the calling thread's network namespace; `None` if that may not be seen.
pub fn is_first_process_here() -> Option<bool> {
    let first = identity(Path::new("/proc/1/ns/net"))?;
    Some(first == current().ok()?)
}

fn identity(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

/// Those that `ip netns` has given a name.
fn named() -> Vec<PathBuf> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_to_a_namespace() {
        let own = current().unwrap();
        let way = Way::to(own);
        assert_ne!(way, Way::Unknown);
        assert!(way.to_string().starts_with("nsenter --net"), "{way}");
        assert_eq!(Way::to(1), Way::Unknown);
        assert_eq!(cookie().unwrap(), cookie().unwrap());
    }
}
