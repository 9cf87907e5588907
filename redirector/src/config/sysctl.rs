//! Names and values of kernel parameters, as sysctl(8) and sysctl.d(5) write them.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::port_set::PortSet;

/// A file below `/proc/sys`, e.g. `net.ipv4.tcp_rmem`.
///
/// The separator that comes first separates; the other one stands for the other: the interface `eth0.10`
/// is in `net/ipv4/conf/eth0.10/rp_filter` and in `net.ipv4.conf.eth0/10.rp_filter`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// With slashes.
    path: String,
}

/// Words with blanks between, of which numbers can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(Vec<Word>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Number(i128),
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kernel parameter; they are written as net.core.somaxconn is")]
pub struct KeyError(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("an empty value")]
    Empty,
    #[error("{0:?} is not one line")]
    Lines(String),
}

/// Why a value can be no floor of another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("has {has} here, and {wanted:?} has {given}", has = fields(.has), given = fields(.given))]
    Fields {
        wanted: String,
        has: usize,
        given: usize,
    },
    #[error("is a number here, and {0:?} is not")]
    NotANumber(String),
    #[error("is a range here, and {0:?} does not go from its lower end to its upper one")]
    NotARange(String),
    #[error("is a set of ports here, and {0:?} is not one such as 8080,9000-9010")]
    NotPorts(String),
}

impl Key {
    pub fn is_of_network(&self) -> bool {
        self.path.starts_with("net/")
    }

    pub fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.path)
    }

    /// With slashes.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Takes what sysctl.d(5) takes, and patterns too if the caller does.
pub fn with_slashes(text: &str) -> String {
    match text.find(['.', '/']) {
        Some(first) if text[first..].starts_with('.') => swapped(text),
        _ => text.to_owned(),
    }
}

fn swapped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let path = with_slashes(text);
        let is_name = |part: &str| {
            let allowed = |byte: u8| byte.is_ascii_graphic() && !b"*?[]\\=#;\"'".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
        };
        if path.contains('/') && path.split('/').all(is_name) {
            Ok(Self { path })
        } else {
            Err(KeyError(text.to_owned()))
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&swapped(&self.path))
    }
}

impl Value {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At least `self`, field by field where both are numbers, and no less than `floor`. What has no
    /// order is as wanted.
    pub fn raised_to(&self, floor: &Self) -> Result<Self, Misfit> {
        if !self.is_of_numbers() {
            return Ok(floor.clone());
        }
        if !floor.is_of_numbers() {
            return Err(Misfit::NotANumber(floor.to_string()));
        }
        floor.require_fields(self)?;
        let fields = self.0.iter().zip(&floor.0);
        let raised = fields.map(|(now, floor)| match (now, floor) {
            (Word::Number(now), Word::Number(floor)) => Word::Number(*now.max(floor)),
            _ => floor.clone(),
        });
        Ok(Self(raised.collect()))
    }

    /// From the lower one of the lower ends to the upper one of the upper ends, where `self` is a range of
    /// numbers; one that ends before it begins has none.
    pub fn widened_to(&self, range: &Self) -> Result<Self, Misfit> {
        let [Word::Number(from), Word::Number(to)] = self.0[..] else {
            return self.raised_to(range);
        };
        if !range.is_of_numbers() {
            return Err(Misfit::NotANumber(range.to_string()));
        }
        range.require_fields(self)?;
        match range.0[..] {
            [Word::Number(first), Word::Number(last)] if first <= last => {
                let widened = match from <= to {
                    true => [from.min(first), to.max(last)],
                    false => [first, last],
                };
                Ok(Self(widened.map(Word::Number).to_vec()))
            }
            _ => Err(Misfit::NotARange(range.to_string())),
        }
    }

    /// Those of both, or only `wanted` where it is `exact`, as the kernel shows a set of ports.
    pub fn with_ports(&self, wanted: &Self, exact: bool) -> Result<Self, Misfit> {
        let ports = |value: &Self| {
            let ports = value.to_string().parse::<PortSet>();
            ports.map_err(|_| Misfit::NotPorts(value.to_string()))
        };
        let (now, wanted) = (ports(self)?, ports(wanted)?);
        let then = if exact { wanted } else { now | wanted };
        Ok(Self::from(then.to_string().as_str()))
    }

    /// `wanted` itself, if it can stand where `self` is.
    pub fn replaced_by(&self, wanted: &Self) -> Result<Self, Misfit> {
        if self.is_of_numbers() {
            if !wanted.is_of_numbers() {
                return Err(Misfit::NotANumber(wanted.to_string()));
            }
            wanted.require_fields(self)?;
        }
        Ok(wanted.clone())
    }

    /// The only field, if that is a number that counts something.
    pub fn count(&self) -> Option<u64> {
        match self.0[..] {
            [Word::Number(number)] => number.try_into().ok(),
            _ => None,
        }
    }

    fn is_of_numbers(&self) -> bool {
        let mut words = self.0.iter();
        !self.0.is_empty() && words.all(|word| matches!(word, Word::Number(_)))
    }

    fn require_fields(&self, of: &Self) -> Result<(), Misfit> {
        if self.0.len() == of.0.len() {
            return Ok(());
        }
        Err(Misfit::Fields {
            wanted: self.to_string(),
            has: of.0.len(),
            given: self.0.len(),
        })
    }
}

/// What the kernel shows, which may be nothing.
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let words = text.split_whitespace().map(|word| match word.parse() {
            Ok(number) => Word::Number(number),
            Err(_) => Word::Other(word.to_owned()),
        });
        Self(words.collect())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(vec![Word::Number(number.into())])
    }
}

/// What somebody wants written.
impl FromStr for Value {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text
            .trim()
            .contains(|letter: char| letter.is_control() && letter != '\t')
        {
            return Err(ValueError::Lines(text.to_owned()));
        }
        let value = Self::from(text);
        if value.is_empty() {
            return Err(ValueError::Empty);
        }
        Ok(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            match word {
                Word::Number(number) => number.fmt(f)?,
                Word::Other(word) => word.fmt(f)?,
            }
        }
        Ok(())
    }
}

fn fields(count: &usize) -> String {
    match count {
        1 => "1 field".to_owned(),
        more => format!("{more} fields"),
    }
}

#[cfg(test)]
#[path = "sysctl_tests.rs"]
mod tests;
