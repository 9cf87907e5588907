//! How often somebody may be wrong. Whoever guesses is answered no more for a while, right or wrong, and
//! keeps nobody else out: it is counted by address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Wrong ones in a [`WINDOW`], of one address.
const WRONG: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// More share one count.
const ADDRESSES: usize = 1024;

#[derive(Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, Window>>);

struct Window {
    begun: Instant,
    wrong: u32,
}

impl Attempts {
    /// Whether it is right, or for how long nothing from there is looked at.
    pub fn attempt(
        &self,
        from: IpAddr,
        now: Instant,
        is_right: impl FnOnce() -> bool,
    ) -> Result<bool, Duration> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = network(from);
        if !windows.contains_key(&from) && windows.len() >= ADDRESSES {
            windows.retain(|_, window| window.rest(now).is_some());
            if windows.len() >= ADDRESSES {
                from = IpAddr::from(Ipv6Addr::UNSPECIFIED);
            }
        }
        match windows
            .get(&from)
            .map(|window| (window.rest(now), window.wrong))
        {
            Some((Some(rest), WRONG..)) => return Err(rest),
            Some((None, _)) => _ = windows.remove(&from),
            _ => {}
        }
        let is_right = is_right();
        if !is_right {
            let first = Window {
                begun: now,
                wrong: 0,
            };
            windows.entry(from).or_insert(first).wrong += 1;
        }
        Ok(is_right)
    }
}

impl Window {
    /// `None` if it is over.
    fn rest(&self, now: Instant) -> Option<Duration> {
        WINDOW
            .checked_sub(now.saturating_duration_since(self.begun))
            .filter(|rest| !rest.is_zero())
    }
}

/// A host of IPv6 has as many addresses as it likes, in 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 7));
    const NEIGHBOURS: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 1, 2, 3, 4));
    const OTHER: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 7));

    #[test]
    fn who_guesses_is_not_heard_for_a_while() {
        let attempts = Attempts::default();
        let now = Instant::now();
        for _ in 0..WRONG {
            assert_eq!(attempts.attempt(MINE, now, || true), Ok(true));
            assert_eq!(attempts.attempt(MINE, now, || false), Ok(false));
        }
        let later = now + WINDOW - Duration::from_secs(1);
        for from in [MINE, NEIGHBOURS] {
            let answer = attempts.attempt(from, later, || panic!("it is not looked at"));
            assert_eq!(answer, Err(Duration::from_secs(1)));
        }
        assert_eq!(attempts.attempt(OTHER, later, || true), Ok(true));
        for _ in 0..WRONG {
            assert_eq!(attempts.attempt(MINE, now + WINDOW, || false), Ok(false));
        }
        assert_eq!(
            attempts.attempt(MINE, now + WINDOW, || true),
            Err(WINDOW),
            "another window"
        );
    }

    #[test]
    fn however_many_guess_little_is_kept() {
        let attempts = Attempts::default();
        let now = Instant::now();
        let address = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 1..=2 * ADDRESSES as u32 {
            _ = attempts.attempt(address(number), now, || false);
        }
        assert!(attempts.0.lock().unwrap().len() <= ADDRESSES + 1);
        // The rest has been wrong together.
        let late = address(3 * ADDRESSES as u32);
        assert!(attempts.attempt(late, now, || true).is_err());
        assert_eq!(attempts.attempt(address(1), now, || true), Ok(true));
        assert_eq!(attempts.attempt(late, now + WINDOW, || true), Ok(true));
    }
}
