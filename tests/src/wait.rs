//! Polling with a deadline: nothing sleeps for a fixed time and hopes.

use std::thread;
use std::time::{Duration, Instant};

/// Enough for a busy machine; a healthy one needs a fraction of it.
pub const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(2);

/// Polls until `attempt` gives a value.
///
/// # Panics
/// With `what` once [`DEADLINE`] has passed.
#[track_caller]
pub fn until_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        thread::sleep(PAUSE);
    }
}

/// Polls until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Polls until two observations agree; the panic shows both.
#[track_caller]
pub fn until_equal<T, F>(what: &str, mut observe: F)
where
    T: PartialEq + std::fmt::Debug,
    F: FnMut() -> (T, T),
{
    let start = Instant::now();
    loop {
        let (left, right) = observe();
        if left == right {
            return;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}\n left: {left:?}\nright: {right:?}"
        );
        thread::sleep(PAUSE);
    }
}
