//! What was there before, so that there is a way back. It is written before what it tells of.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::host::{Host, Limits};
use crate::{
    config::{Key, Value},
    holders::Holder,
};

const SCHEMA: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub schema: u32,
    /// Values and limits go with the boot that they were written in; files stay.
    pub boot: String,
    pub keys: Vec<KeyEntry>,
    pub limits: Vec<LimitEntry>,
    pub files: Vec<FileEntry>,
    /// Those that were made for the files, in this order.
    pub directories: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    pub key: String,
    /// `None` for keys that are the same in all network namespaces.
    pub namespace: Option<Namespace>,
    pub was: String,
    /// What is ours: the last one, and until that is known to be there, the ones before.
    pub wrote: Vec<String>,
}

/// A network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// No other namespace has it until the next boot.
    pub cookie: u64,
    /// Another namespace may get it once this one is gone.
    pub inode: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitEntry {
    pub pid: i32,
    pub started: u64,
    pub name: String,
    pub was: Limits,
    pub wrote: Vec<Limits>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub path: PathBuf,
    pub wrote: Vec<String>,
}

impl Journal {
    pub fn new(boot: &str) -> Self {
        Self {
            schema: SCHEMA,
            boot: boot.to_owned(),
            keys: Vec::new(),
            limits: Vec::new(),
            files: Vec::new(),
            directories: Vec::new(),
        }
    }

    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let journal: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if journal.schema == SCHEMA {
            Ok(journal)
        } else {
            Err(format!("schema {}, not {SCHEMA}", journal.schema))
        }
    }

    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.limits.is_empty()
            && self.files.is_empty()
            && self.directories.is_empty()
    }

    /// Takes out what went with an earlier boot, and says how much that was.
    pub fn enter(&mut self, boot: &str) -> usize {
        if self.boot == boot {
            return 0;
        }
        self.boot = boot.to_owned();
        let gone = self.keys.len() + self.limits.len();
        self.keys.clear();
        self.limits.clear();
        gone
    }

    /// Takes out the processes that have ended.
    pub fn forget_ended(&mut self, host: &impl Host) {
        let has_ended = |entry: &LimitEntry| {
            let limits = host.limits(&entry.process());
            limits.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        self.limits.retain(|entry| !has_ended(entry));
    }

    /// The network namespaces that it tells of, each once.
    pub fn namespaces(&self) -> Vec<Namespace> {
        let mut namespaces: Vec<Namespace> = Vec::new();
        for namespace in self.keys.iter().filter_map(|entry| entry.namespace) {
            if !namespaces.contains(&namespace) {
                namespaces.push(namespace);
            }
        }
        namespaces
    }

    /// Takes out what went with these network namespaces, and says how much that was.
    pub fn forget_namespaces(&mut self, gone: &[Namespace]) -> usize {
        let before = self.keys.len();
        let is_gone = |entry: &KeyEntry| entry.namespace.is_some_and(|own| gone.contains(&own));
        self.keys.retain(|entry| !is_gone(entry));
        before - self.keys.len()
    }

    pub fn key(&self, key: &Key, namespace: Namespace) -> Option<&KeyEntry> {
        let name = key.to_string();
        let mut keys = self.keys.iter();
        keys.find(|entry| entry.key == name && entry.is_of(namespace))
    }

    /// Before `value` is written where `now` is. What was there before us is remembered for as long as
    /// nobody else has changed it.
    pub fn will_write(&mut self, key: &Key, namespace: Namespace, now: &str, value: &Value) {
        let (name, value) = (key.to_string(), value.to_string());
        let mut known = self.keys.iter_mut();
        let known = known.find(|entry| entry.key == name && entry.is_of(namespace));
        match known {
            Some(entry) if entry.is_ours(now) => {
                if !entry.wrote.contains(&value) {
                    entry.wrote.push(value);
                }
            }
            Some(entry) => {
                entry.was = now.to_owned();
                entry.wrote = vec![value];
            }
            None => self.keys.push(KeyEntry {
                key: name,
                namespace: key.is_of_network().then_some(namespace),
                was: now.to_owned(),
                wrote: vec![value],
            }),
        }
    }

    /// Once it is known what the key has.
    pub fn has_now(&mut self, key: &Key, namespace: Namespace, now: &str) {
        let name = key.to_string();
        self.keys.retain_mut(|entry| {
            if entry.key != name || !entry.is_of(namespace) {
                return true;
            }
            entry.wrote = vec![Value::from(now).to_string()];
            Value::from(entry.was.as_str()) != Value::from(now)
        });
    }

    /// The same as [`will_write`](Self::will_write) for limits, of which one or the other will be.
    pub fn will_limit(&mut self, process: &Holder, now: Limits, one_of: &[Limits]) {
        let mut known = self.limits.iter_mut();
        match known.find(|entry| entry.is_of(process)) {
            Some(entry) if entry.wrote.contains(&now) => entry.wrote.extend(one_of),
            Some(entry) => {
                entry.was = now;
                entry.wrote = one_of.to_vec();
            }
            None => self.limits.push(LimitEntry {
                pid: process.pid,
                started: process.started,
                name: process.name.clone(),
                was: now,
                wrote: one_of.to_vec(),
            }),
        }
    }

    /// `None`: it has ended.
    pub fn is_limited(&mut self, process: &Holder, now: Option<Limits>) {
        self.limits.retain_mut(|entry| {
            if !entry.is_of(process) {
                return true;
            }
            entry.wrote = now.into_iter().collect();
            now.is_some_and(|now| now != entry.was)
        });
    }

    pub fn will_have(&mut self, path: &Path, text: &str) {
        let mut files = self.files.iter_mut();
        match files.find(|entry| entry.path == path) {
            Some(entry) => entry.wrote.push(text.to_owned()),
            None => self.files.push(FileEntry {
                path: path.to_owned(),
                wrote: vec![text.to_owned()],
            }),
        }
    }

    /// Once the files are there.
    pub fn has_files(&mut self) {
        for entry in &mut self.files {
            entry.wrote.drain(..entry.wrote.len().saturating_sub(1));
        }
    }
}

impl KeyEntry {
    pub fn is_of(&self, namespace: Namespace) -> bool {
        self.namespace
            .is_none_or(|own| own.cookie == namespace.cookie)
    }

    pub fn is_ours(&self, now: &str) -> bool {
        let now = Value::from(now);
        self.wrote
            .iter()
            .any(|wrote| Value::from(wrote.as_str()) == now)
    }

    /// Whether the value of before is there.
    pub fn is_back(&self, now: &str) -> bool {
        Value::from(self.was.as_str()) == Value::from(now)
    }
}

impl LimitEntry {
    pub fn process(&self) -> Holder {
        Holder {
            pid: self.pid,
            started: self.started,
            name: self.name.clone(),
        }
    }

    fn is_of(&self, process: &Holder) -> bool {
        (self.pid, self.started) == (process.pid, process.started)
    }
}
