//! Who may read what is loaded.

use std::{fmt, str::FromStr};

/// The mode of the maps' pins. Nobody but their owner may write: programs and links, which no one can
/// open to read alone, are not for others at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinMode(u32);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "pin mode {0:?} is not 0644 (everybody may read), 0640 (the group), 0600 (nobody else), or another \
     that lets the owner read and write and others at most read"
)]
pub struct PinModeError(String);

const OWNER: u32 = 0o600;
const READERS: u32 = 0o044;

impl PinMode {
    pub const fn file(self) -> u32 {
        self.0
    }

    /// For directories: whoever may read the files may list and search them.
    pub const fn directory(self) -> u32 {
        self.0 | (self.0 & 0o444) >> 2
    }

    /// For directories that others search but need not list. Whoever can list one can lock it too, and a
    /// lock on an instance's directory keeps changes away.
    pub const fn passage(self) -> u32 {
        0o700 | self.readers()
    }

    /// The search bits of those others who may read.
    pub const fn readers(self) -> u32 {
        (self.0 & READERS) >> 2
    }
}

impl Default for PinMode {
    fn default() -> Self {
        Self(OWNER | READERS)
    }
}

impl fmt::Display for PinMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for PinMode {
    type Err = PinModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| mode & OWNER == OWNER && mode & !(OWNER | READERS) == 0)
            .map(Self)
            .ok_or_else(|| PinModeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_read_at_most() {
        for (text, directory, passage) in [
            ("0644", 0o755, 0o711),
            ("640", 0o750, 0o710),
            ("0600", 0o700, 0o700),
            ("0604", 0o705, 0o701),
        ] {
            let mode: PinMode = text.parse().unwrap();
            assert_eq!(mode.directory(), directory, "{text}");
            assert_eq!(mode.passage(), passage, "{text}");
        }
        assert_eq!(PinMode::default().to_string(), "0644");
        for text in ["0666", "0444", "0755", "1644", "rw-r--r--", "", "-600"] {
            text.parse::<PinMode>().unwrap_err();
        }
    }
}
