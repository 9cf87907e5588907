//! Interfaces by name or by shell pattern.

use std::{fmt, str::FromStr};

/// A name, or a shell pattern (`*`, `?`, `[...]`) of names. A pattern is held against every name, that of
/// loopback included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    /// `None`: a name.
    pattern: Option<glob::Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error(
        "{0:?} cannot be the name of an interface: it has 1 to 15 bytes, none of them a blank, `/` or `:`"
    )]
    Name(String),
    #[error("interface pattern {text:?} is not a shell pattern of *, ? and [...]: {reason}")]
    Pattern { text: String, reason: &'static str },
    #[error(
        "interface pattern {0:?} has more than the {MAX_PATTERN} bytes that a pattern may have"
    )]
    Long(String),
}

/// As long as `redirector_common::abi::WantedRecord` has room for.
const MAX_PATTERN: usize = redirector_common::abi::WANTED_LENGTH;

impl Selector {
    pub fn matches(&self, name: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(name),
            None => self.text == name,
        }
    }

    pub fn is_pattern(&self) -> bool {
        self.pattern.is_some()
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_owned();
        if !text.contains(['*', '?', '[']) {
            return match is_name(&text) {
                true => Ok(Self {
                    text,
                    pattern: None,
                }),
                false => Err(SelectorError::Name(text)),
            };
        }
        if text.len() > MAX_PATTERN {
            return Err(SelectorError::Long(text));
        }
        match glob::Pattern::new(&text) {
            Ok(pattern) => Ok(Self {
                text,
                pattern: Some(pattern),
            }),
            Err(error) => Err(SelectorError::Pattern {
                text,
                reason: error.msg,
            }),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `dev_valid_name()` in `net/core/dev.c`; with a colon, addresses were named once.
fn is_name(text: &str) -> bool {
    let is_refused = |c: char| c.is_whitespace() || c == '/' || c == ':' || c == '\0';
    (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.contains(is_refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_shell_patterns() {
        for (selector, matching, other) in [
            ("eth0", &["eth0"][..], &["eth1", "eth00"][..]),
            ("eth*", &["eth0", "eth", "eth0.10"], &["veth0", "lo"]),
            ("en?", &["en0"], &["en", "en10"]),
            ("wg[0-3]", &["wg0", "wg3"], &["wg4", "wg"]),
            ("[!l]*", &["eth0"], &["lo"]),
            ("*", &["lo", "eth0", "br-lan"], &[]),
            ("eth0.*", &["eth0.10"], &["eth0", "eth0x10"]),
        ] {
            let parsed: Selector = selector.parse().unwrap();
            assert_eq!(parsed.is_pattern(), selector != "eth0");
            assert_eq!(parsed.to_string(), selector);
            for (names, expected) in [(matching, true), (other, false)] {
                for name in names {
                    assert_eq!(parsed.matches(name), expected, "{selector} and {name}");
                }
            }
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for (text, word) in [
            ("eth[", "not a shell pattern"),
            ("eth[]", "not a shell pattern"),
            ("eth***", "not a shell pattern"),
            ("", "1 to 15 bytes"),
            ("a b", "1 to 15 bytes"),
            ("eth0/1", "1 to 15 bytes"),
            ("..", "1 to 15 bytes"),
            ("averyverylongname", "1 to 15 bytes"),
        ] {
            let message = text.parse::<Selector>().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
            assert!(message.contains(&format!("{text:?}")), "{message}");
        }
        let long = "*".to_owned() + &"a".repeat(MAX_PATTERN);
        let message = long.parse::<Selector>().unwrap_err().to_string();
        assert!(message.contains("64 bytes"), "{message}");
    }
}
