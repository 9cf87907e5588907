//! Polling with a deadline: nothing sleeps for a fixed time and hopes.

use std::io;
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

/// Polls until a port is free: a program that another test is just starting holds a copy of a closed
/// socket until its exec.
///
/// # Panics
/// With `what` on any other error, and once [`DEADLINE`] has passed.
#[track_caller]
pub fn until_bound<T>(what: &str, mut bind: impl FnMut() -> io::Result<T>) -> T {
    until_some(what, || match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => None,
        bound => Some(bound.unwrap_or_else(|error| panic!("{what}: {error}"))),
    })
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
