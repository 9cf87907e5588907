//! How many files a process is to be allowed. No I/O.

use std::fmt;

use super::{host::Limits, plan::NR_OPEN};

/// What to do with the limits of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitStep {
    /// `None`: they stay.
    pub set: Option<Limits>,
    /// Why it is not all that is wanted.
    pub short: Option<Short>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Short {
    /// Its hard limit can only be raised with CAP_SYS_RESOURCE.
    Hard,
    /// Once lowered, its hard limit could not be raised again.
    NoWayBack,
    /// `fs.nr_open` allows no more.
    NrOpen(u64),
}

/// `nr_open`: no process may have more. `may_raise`: hard limits can be raised.
pub fn step(now: Limits, nofile: u64, exact: bool, nr_open: u64, may_raise: bool) -> LimitStep {
    let wanted = nofile.min(nr_open);
    let mut short = (wanted < nofile).then_some(Short::NrOpen(nr_open));
    // The kernel refuses whatever has this hard limit (`do_prlimit()` in `kernel/sys.c`).
    if is_above(now.hard, nr_open) && !exact {
        let is_enough = is_above(now.soft, nofile - 1);
        return LimitStep {
            set: None,
            short: (!is_enough).then_some(Short::NrOpen(nr_open)),
        };
    }
    let mut new = match exact {
        true => Limits {
            soft: Some(wanted),
            hard: Some(wanted),
        },
        false => Limits {
            soft: at_least(now.soft, wanted),
            hard: at_least(now.hard, wanted),
        },
    };
    if !may_raise && new.hard != now.hard {
        short = Some(match is_above(now.hard, wanted) {
            true => Short::NoWayBack,
            false => Short::Hard,
        });
        new.hard = now.hard;
        new.soft = lower(new.soft, now.hard);
    }
    LimitStep {
        set: (new != now).then_some(new),
        short,
    }
}

fn is_above(limit: Option<u64>, number: u64) -> bool {
    limit.is_none_or(|limit| limit > number)
}

fn at_least(limit: Option<u64>, number: u64) -> Option<u64> {
    limit.map(|limit| limit.max(number))
}

fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hard => {
                f.write_str("not permitted above the hard limit: that needs CAP_SYS_RESOURCE")
            }
            Self::NoWayBack => f.write_str(
                "the hard limit stays: without CAP_SYS_RESOURCE it could not be raised again",
            ),
            Self::NrOpen(most) => write!(f, "{NR_OPEN} allows no more than {most} here"),
        }
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
