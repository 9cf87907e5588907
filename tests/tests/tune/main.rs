//! `redirector tune`, on hosts of their own: network namespaces with an /etc and a /var/lib that nobody
//! else has. What belongs to the whole machine is for `tests/tests/vm`.

mod application;
mod backlog;
mod crash;
mod files;
mod keys;
mod limits;
mod load;
mod refused;
mod revert;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use integration::netns::Namespace;
use integration::process::{Background, Output, run};
use integration::redirector::{binary, json};
use serde_json::Value;
use tempfile::TempDir;

/// The guide's keys that a network namespace has of its own.
const OWN_KEYS: [&str; 5] = [
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
];

/// A network namespace with directories of its own over /etc and /var/lib.
struct Host {
    namespace: Namespace,
    directory: TempDir,
    /// Shell commands that prepare the mounts further.
    mounts: String,
    /// A capability that the commands do not have, such as `sys_ptrace`.
    without: Option<&'static str>,
}

impl Host {
    fn new() -> Self {
        let directory = Background::directory();
        for name in ["etc", "var"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        Self {
            namespace: Namespace::new("server"),
            directory,
            mounts: String::new(),
            without: None,
        }
    }

    /// With further mounts; `$0` is the directory over /etc.
    fn with_mounts(mounts: &str) -> Self {
        Self {
            mounts: format!("{mounts} && "),
            ..Self::new()
        }
    }

    /// The same machine in another network namespace, and the one of before.
    fn elsewhere(self) -> (Namespace, Self) {
        let other = Self {
            namespace: Namespace::new("other"),
            directory: self.directory,
            mounts: self.mounts,
            without: self.without,
        };
        (self.namespace, other)
    }

    fn etc(&self, path: &str) -> PathBuf {
        self.directory.path().join("etc").join(path)
    }

    fn write_etc(&self, path: &str, text: &str) {
        let path = self.etc(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn make_pipe(&self, path: &str) {
        let path = self.etc(path);
        if path.exists() {
            fs::remove_file(&path).expect("a file");
        }
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    }

    fn config(&self, text: &str) -> String {
        self.write_etc(
            "tune.toml",
            &format!("{text}\n[[redirect]]\nfrom = 80\nto = 8000\n"),
        );
        "-c /etc/tune.toml".to_owned()
    }

    /// Everything below the two directories, with what it holds.
    fn tree(&self) -> BTreeMap<PathBuf, Option<String>> {
        let mut tree = BTreeMap::new();
        let mut pending = vec![
            self.directory.path().join("etc"),
            self.directory.path().join("var"),
        ];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).expect("a directory");
                pending.extend(entries.map(|entry| entry.expect("an entry").path()));
                tree.insert(path, None);
            } else {
                let text = fs::read_to_string(&path).expect("a file");
                tree.insert(path, Some(text));
            }
        }
        tree
    }

    fn journal_path(&self) -> PathBuf {
        self.directory.path().join("var/redirector/tune.json")
    }

    fn journal(&self) -> Option<Value> {
        let text = fs::read_to_string(self.journal_path()).ok()?;
        Some(json(&text))
    }

    /// Any verb, with arguments separated by blanks.
    fn command(&self, arguments: &str) -> Command {
        self.command_after("true", arguments)
    }

    /// The same once another command of the shell has succeeded.
    fn command_after(&self, first: &str, arguments: &str) -> Command {
        let [etc, var] = ["etc", "var"].map(|name| self.directory.path().join(name));
        let script = format!(
            "mkdir -p /var/lib && mount --bind \"$0\" /etc && mount --bind \"$1\" /var/lib && shift && {}{first} && exec \"$@\"",
            self.mounts
        );
        let mut command = self.program("unshare", self.without);
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .args([etc, var])
            .arg(binary())
            .args(arguments.split_whitespace());
        command
    }

    /// Any program of this host, with all capabilities but one.
    fn program(&self, name: &str, without: Option<&str>) -> Command {
        let Some(capability) = without else {
            return self.namespace.command(name);
        };
        let mut command = self.namespace.command("setpriv");
        command
            .arg(format!("--bounding-set=-{capability}"))
            .arg(name);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &str) -> Output {
        run(&mut self.command(arguments))
    }

    /// `tune VERB` that must end with this code.
    #[track_caller]
    fn tune(&self, arguments: &str, code: i32) -> Output {
        let output = self.run(&format!("tune {arguments}"));
        assert_eq!(output.code, Some(code), "tune {arguments}: {output:#?}");
        output
    }

    #[track_caller]
    fn check(&self, arguments: &str) -> Value {
        let document = json(&self.tune(&format!("check --json {arguments}"), 0).stdout);
        assert_eq!(document["schema"], 1);
        document
    }

    /// As the kernel shows it, newline and all.
    fn value(&self, key: &str) -> String {
        let path = path(key);
        // The kernel has no more of some keys after the first read(2).
        let mut bytes = vec![0; 1 << 16];
        let length = self
            .namespace
            .enter(|| fs::File::open(&path)?.read(&mut bytes))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn values(&self) -> BTreeMap<&'static str, String> {
        OWN_KEYS.iter().map(|&key| (key, self.value(key))).collect()
    }

    fn set(&self, key: &str, value: &str) {
        let path = path(key);
        self.namespace
            .enter(|| fs::write(&path, value))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Every key of its own less than the guide wants.
    fn lower(&self) {
        for (key, value) in [
            ("net.ipv4.tcp_rmem", "4096 8192 16384"),
            ("net.ipv4.tcp_wmem", "4096 8192 16384"),
            ("net.core.somaxconn", "128"),
            ("net.ipv4.tcp_max_syn_backlog", "128"),
            ("net.ipv4.tcp_syncookies", "0"),
        ] {
            self.set(key, value);
        }
    }
}

fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

/// The row of a table that begins with this word.
#[track_caller]
fn row<'a>(table: &'a str, word: &str) -> &'a str {
    let mut lines = table.lines();
    lines
        .find(|line| line.split_whitespace().next() == Some(word))
        .unwrap_or_else(|| panic!("no row of {word}: {table}"))
}

/// What `tune check --json` has of a key.
#[track_caller]
fn key<'a>(document: &'a Value, name: &str) -> &'a Value {
    let keys = document["keys"].as_array().expect("keys");
    let mut keys = keys.iter();
    keys.find(|key| key["key"] == name)
        .unwrap_or_else(|| panic!("no {name}: {document}"))
}
