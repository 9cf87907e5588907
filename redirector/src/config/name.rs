//! The name of an instance, which becomes a directory of bpffs.

use std::{fmt, path::Path, str::FromStr};

const MAX_LENGTH: usize = 64;

/// 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with a dot: safe as one path component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Name(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("instance name {0:?} has {1} characters; use 1 to {MAX_LENGTH}")]
    Length(String, usize),
    #[error("instance name {0:?} begins with a dot; begin it with a letter or a digit")]
    Hidden(String),
    #[error("instance name {0:?} has {1:?}; use letters, digits, '.', '_' and '-'")]
    Character(String, char),
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Name {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let length = name.chars().count();
        if !(1..=MAX_LENGTH).contains(&length) {
            return Err(NameError::Length(name.to_owned(), length));
        }
        if name.starts_with('.') {
            return Err(NameError::Hidden(name.to_owned()));
        }
        if let Some(character) = name.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Character(name.to_owned(), character));
        }
        Ok(Self(name.to_owned()))
    }
}

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn accepts_one_path_component() {
        for name in ["default", "a", "web-1.example_com", "-", &"x".repeat(64)] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        for (input, message) in [
            ("", "instance name \"\" has 0 characters; use 1 to 64"),
            (
                "..",
                "instance name \"..\" begins with a dot; begin it with a letter or a digit",
            ),
            (
                "a/b",
                "instance name \"a/b\" has '/'; use letters, digits, '.', '_' and '-'",
            ),
            (
                "a\nb",
                "instance name \"a\\nb\" has '\\n'; use letters, digits, '.', '_' and '-'",
            ),
        ] {
            assert_eq!(input.parse::<Name>().unwrap_err().to_string(), message);
        }
        assert!("x".repeat(65).parse::<Name>().is_err());
    }
}
