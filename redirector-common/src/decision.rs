use crate::{Skip, abi::Port, track::Translation};

/// What to do with a packet, in one register: a BPF function returns no more, and a `Result` on the
/// stack would leave bytes unwritten that only a process with CAP_PERFMON may have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Decision(u64);

/// The lowest 8 bits; a [`Skip`] is [`SKIP`] plus its discriminant. Above them the local port, the
/// remote port and the rule's number.
const PASS: u64 = 0;
const REDIRECT: u64 = 1;
const SKIP: u64 = 2;

impl Decision {
    /// Not for us.
    pub const PASS: Self = Self(PASS);

    #[inline(always)]
    pub const fn skip(skip: Skip) -> Self {
        Self(SKIP + skip as u64)
    }

    #[inline(always)]
    pub const fn redirect(to: Translation) -> Self {
        Self(
            REDIRECT
                | (to.local.to_be() as u64) << 8
                | (to.remote.to_be() as u64) << 24
                | (to.rule as u64) << 40,
        )
    }

    #[inline(always)]
    pub const fn to_register(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub const fn from_register(register: u64) -> Self {
        Self(register)
    }

    #[inline(always)]
    pub const fn is(self, skip: Skip) -> bool {
        self.0 == Self::skip(skip).0
    }

    #[inline(always)]
    pub const fn from_result(result: Result<Option<Translation>, Skip>) -> Self {
        match result {
            Ok(None) => Self::PASS,
            Ok(Some(to)) => Self::redirect(to),
            Err(skip) => Self::skip(skip),
        }
    }

    /// The rule's number, if it is a redirection.
    #[inline(always)]
    pub const fn rule(self) -> Option<u32> {
        if self.0 & 0xff == REDIRECT {
            Some((self.0 >> 40) as u32)
        } else {
            None
        }
    }

    /// The discriminant of a [`Skip`], if it is one.
    #[inline(always)]
    pub const fn skipped(self) -> Option<u32> {
        let kind = self.0 & 0xff;
        if kind < SKIP {
            None
        } else {
            Some((kind - SKIP) as u32)
        }
    }

    /// The same with types; `Ok(None)` is [`Self::PASS`].
    #[inline(always)]
    pub fn into_result(self) -> Result<Option<Translation>, Skip> {
        match self.0 & 0xff {
            PASS => Ok(None),
            REDIRECT => Ok(Some(Translation {
                local: Port::from_be((self.0 >> 8) as u16),
                remote: Port::from_be((self.0 >> 24) as u16),
                rule: (self.0 >> 40) as u32,
            })),
            skip => Err(Skip::from_discriminant((skip - SKIP) as u32)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::NO_RULE;

    #[test]
    fn survives_the_register() {
        let to = Translation {
            local: Port::new(8000),
            remote: Port::new(40_000),
            rule: NO_RULE,
        };
        assert_eq!(Decision::PASS.into_result(), Ok(None));
        assert_eq!(Decision::redirect(to).into_result(), Ok(Some(to)));
        for skip in Skip::ALL {
            assert_eq!(Decision::skip(skip).into_result(), Err(skip));
        }
    }
}
