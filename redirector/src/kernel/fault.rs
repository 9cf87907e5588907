//! Injected faults: `REDIRECTOR_FAIL_AT=N` makes step N of a load fail, `REDIRECTOR_KILL_AT=N`
//! kills the process there. Tests use them to show that half-done is undone.

use std::{env, str::FromStr};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::Error;

pub struct Steps {
    taken: u32,
    fail_at: Option<u32>,
    kill_at: Option<u32>,
}

impl Steps {
    pub fn new() -> Self {
        Self {
            taken: 0,
            fail_at: number("REDIRECTOR_FAIL_AT"),
            kill_at: number("REDIRECTOR_KILL_AT"),
        }
    }

    /// Nothing is injected, for what undoes a fault.
    pub fn none() -> Self {
        Self {
            taken: 0,
            fail_at: None,
            kill_at: None,
        }
    }

    /// Stands before every step that changes the host.
    pub fn next(&mut self) -> Result<(), Error> {
        self.taken += 1;
        if self.kill_at == Some(self.taken) {
            // It does not return; an error would mean that we may not kill ourselves.
            let _ = kill(Pid::this(), Signal::SIGKILL);
        }
        if self.fail_at == Some(self.taken) {
            return Err(Error::Injected(self.taken));
        }
        Ok(())
    }
}

/// `REDIRECTOR_NO_TCX=1` shows what a kernel without TCX would get.
pub fn pretends_no_tcx() -> bool {
    env::var_os("REDIRECTOR_NO_TCX").is_some_and(|value| value == "1")
}

/// `REDIRECTOR_NO_XDP_FRAGS=1` what one gets that has no packets in fragments for XDP.
pub fn pretends_no_fragments() -> bool {
    env::var_os("REDIRECTOR_NO_XDP_FRAGS").is_some_and(|value| value == "1")
}

fn number(name: &str) -> Option<u32> {
    env::var(name)
        .ok()
        .and_then(|text| u32::from_str(&text).ok())
}
