//! What would be changed, and why. No I/O.

use std::fmt;

use super::{
    error::Error,
    guide,
    host::{Access, Reading},
    scope,
};
use crate::config::{Key, Misfit, Setting, Tuning, Value};

/// One key that is wanted in some way.
#[derive(Clone, Debug)]
pub struct Wish {
    pub key: Key,
    pub value: Value,
    pub exact: bool,
    pub why: String,
}

/// A wish, and what comes of it.
#[derive(Clone, Debug)]
pub struct KeyRow {
    pub wish: Wish,
    /// As the kernel shows it.
    pub now: Option<String>,
    pub step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is as wanted, or more.
    Keep,
    Write(Value),
    Cannot(Obstacle),
}

/// Not fatal, but for [`Denied`](Self::Denied).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    Missing {
        remark: Option<&'static str>,
    },
    /// The key is one of the whole host, and this is not its network namespace.
    OfHost,
    /// It may be one of the whole host, which is not seen here.
    NotHere,
    ReadOnlyKey,
    ReadOnlyMount,
    Denied,
    Unreadable(String),
    /// It changes another one too.
    Coupled(&'static str),
}

pub const NR_OPEN: &str = "fs.nr_open";
const FILE_MAX: &str = "fs.file-max";

/// The guide's keys, those of the configuration in their place or behind them, and what `nofile` needs.
pub fn wishes(tuning: &Tuning) -> Vec<Wish> {
    let mut wishes: Vec<_> = guide::KEYS.iter().filter_map(Wish::of_guide).collect();
    for wish in &mut wishes {
        wish.exact = tuning.exact;
    }
    for setting in &tuning.settings {
        let exact = setting.exact || tuning.exact;
        match wishes.iter_mut().find(|wish| wish.key == setting.key) {
            Some(wish) => {
                wish.value = setting.value.clone();
                wish.exact = exact;
            }
            None => wishes.push(Wish::of_setting(setting, exact)),
        }
    }
    for name in [NR_OPEN, FILE_MAX] {
        let Ok(key) = name.parse::<Key>() else {
            continue;
        };
        let need = Value::from(tuning.nofile);
        let why = format!("must allow nofile {}", tuning.nofile);
        match wishes.iter_mut().find(|wish| wish.key == key) {
            Some(wish)
                if wish
                    .value
                    .count()
                    .is_some_and(|count| count < tuning.nofile) =>
            {
                wish.value = need;
                wish.why = why;
            }
            Some(_) => {}
            None => wishes.push(Wish {
                key,
                value: need,
                exact: false,
                why,
            }),
        }
    }
    wishes
}

/// `elsewhere`: this is not the host's own network namespace.
pub fn keys(
    wishes: Vec<Wish>,
    read: impl Fn(&Key) -> Reading,
    elsewhere: bool,
) -> Result<Vec<KeyRow>, Error> {
    let row = |wish: Wish| {
        let of_host = elsewhere && wish.key.is_of_network();
        let (now, step) = match read(&wish.key) {
            Reading::Missing if of_host && guide::is_known(&wish.key) => {
                (None, Step::Cannot(Obstacle::OfHost))
            }
            Reading::Missing if of_host && guide::remark(&wish.key).is_none() => {
                (None, Step::Cannot(Obstacle::NotHere))
            }
            Reading::Missing => {
                let remark = guide::remark(&wish.key);
                (None, Step::Cannot(Obstacle::Missing { remark }))
            }
            Reading::Unreadable(why) => (None, Step::Cannot(Obstacle::Unreadable(why))),
            Reading::Value { text, access } => {
                let step = step(&wish, &Value::from(text.as_str()), access, of_host)?;
                (Some(text), step)
            }
        };
        Ok(KeyRow { wish, now, step })
    };
    wishes.into_iter().map(row).collect()
}

fn step(wish: &Wish, now: &Value, access: Access, of_host: bool) -> Result<Step, Error> {
    let wanted = wish.fulfilled(now).map_err(|misfit| Error::Misfit {
        key: wish.key.clone(),
        misfit,
    })?;
    if wanted == *now {
        return Ok(Step::Keep);
    }
    if let Some(other) = scope::coupled(&wish.key) {
        return Ok(Step::Cannot(Obstacle::Coupled(other)));
    }
    Ok(match access {
        Access::Writable => Step::Write(wanted),
        Access::ReadOnlyKey if of_host => Step::Cannot(Obstacle::OfHost),
        Access::ReadOnlyKey => Step::Cannot(Obstacle::ReadOnlyKey),
        Access::ReadOnlyMount => Step::Cannot(Obstacle::ReadOnlyMount),
        Access::Denied => Step::Cannot(Obstacle::Denied),
    })
}

impl Wish {
    /// What it makes of a value.
    pub fn fulfilled(&self, now: &Value) -> Result<Value, Misfit> {
        if guide::is_port_set(&self.key) {
            now.with_ports(&self.value, self.exact)
        } else if self.exact {
            now.replaced_by(&self.value)
        } else if guide::is_range(&self.key) {
            now.widened_to(&self.value)
        } else {
            now.raised_to(&self.value)
        }
    }

    /// Whether a value is as wanted, however it is written.
    pub fn is_met_by(&self, value: &Value) -> bool {
        let same = match guide::is_port_set(&self.key) {
            true => value.with_ports(value, true),
            false => Ok(value.clone()),
        };
        same.is_ok_and(|same| self.fulfilled(value) == Ok(same))
    }

    fn of_guide(entry: &guide::Entry) -> Option<Self> {
        Some(Self {
            key: entry.key.parse().ok()?,
            value: entry.value.parse().ok()?,
            exact: false,
            why: entry.why.to_owned(),
        })
    }

    fn of_setting(setting: &Setting, exact: bool) -> Self {
        let remark = guide::remark(&setting.key);
        Self {
            key: setting.key.clone(),
            value: setting.value.clone(),
            exact,
            why: remark.unwrap_or("of the configuration").to_owned(),
        }
    }
}

impl KeyRow {
    /// What it has once the plan is done.
    pub fn then(&self) -> Option<Value> {
        match &self.step {
            Step::Write(value) => Some(value.clone()),
            Step::Keep | Step::Cannot(_) => self.now.as_deref().map(Value::from),
        }
    }

    /// Whether it is as wanted already.
    pub fn is_met(&self) -> bool {
        self.step == Step::Keep
    }

    /// Why that step.
    pub fn reason(&self) -> String {
        match &self.step {
            Step::Cannot(obstacle) => obstacle.to_string(),
            Step::Write(_) => self.wish.why.clone(),
            Step::Keep => {
                let now = self.now.as_deref().map(Value::from);
                match now.as_ref() == Some(&self.wish.value) {
                    true => "as wanted".to_owned(),
                    false => "more than the floor, so it stays".to_owned(),
                }
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { remark: None } => f.write_str("this kernel has no such key"),
            Self::Missing {
                remark: Some(remark),
            } => {
                write!(f, "this kernel has no such key: {remark}")
            }
            Self::NotHere => f.write_str(
                "not in this network namespace; if it is one of the whole host, tune it from the host's own",
            ),
            Self::OfHost => f.write_str(
                "of the whole host, not of this network namespace: tune it from the host's own",
            ),
            Self::ReadOnlyKey => f.write_str("the kernel lets nobody change it here"),
            Self::ReadOnlyMount => {
                f.write_str("/proc/sys is read-only here, as in a container: tune it on the host")
            }
            Self::Denied => f.write_str("not permitted: run it as root or with sudo"),
            Self::Unreadable(why) => {
                write!(f, "cannot be read ({why}), so there would be no way back")
            }
            Self::Coupled(other) => write!(
                f,
                "it would change {other} too, and there would be no way back: set it in /etc/sysctl.d"
            ),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
