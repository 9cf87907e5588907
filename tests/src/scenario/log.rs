use std::sync::{Arc, Mutex};

use super::names::Names;

/// What one side saw, line by line.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn note(&self, line: impl Into<String>) {
        self.0.lock().expect("a log").push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().expect("a log").clone()
    }
}

/// Where a socket writes, and how it names its peers.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    pub log: Log,
    pub names: Names,
}

/// Names an error as the kernel does: `ECONNREFUSED`.
pub(super) fn errno(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(
        || format!("{:?}", error.kind()),
        |number| format!("{:?}", nix::errno::Errno::from_raw(number)),
    )
}

/// Length and hash of bytes: the same for the same bytes, short enough for a line.
pub(super) fn digest(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(bytes);
    let hex: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {hex}", bytes.len())
}
