//! The packets that the programs tell of, while somebody asks.
//!
//! Asking is a lease: the reader renews it, and the programs stop by themselves once it has not. So
//! nothing is left on, however the reader ends.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use nix::time::{ClockId, clock_gettime};
use redirector_common::abi::{TraceControl, TraceRecord};

use super::{
    Error, Instance,
    maps::{PerCpu, Plain, Values},
};

const LEASE: Duration = Duration::from_secs(2);

/// How often a lease wants to be renewed.
pub const RENEW_EVERY: Duration = Duration::from_millis(500);

/// One at a time: a record is read once.
pub struct Tracing {
    control: Values<TraceControl>,
    /// The kernel's, of that map.
    id: u32,
    records: RingBuf<MapData>,
    lost: PerCpu<u64>,
    lost_before: u64,
    wanted: TraceControl,
}

impl Tracing {
    /// Waits for the lease of a reader that was killed, which is two seconds at most.
    pub fn begin(instance: &Instance, wanted: TraceControl) -> Result<Self, Error> {
        let name = &instance.name;
        let maps = instance.maps.writable();
        let control = maps.trace().map_err(|error| {
            if error.is_permission() {
                Error::TraceNotPermitted { name: name.clone() }
            } else {
                error
            }
        })?;
        let deadline = Instant::now() + LEASE + RENEW_EVERY;
        while is_leased(&control)? {
            if Instant::now() > deadline {
                return Err(Error::Traced { name: name.clone() });
            }
            thread::sleep(RENEW_EVERY / 10);
        }
        let mut tracing = Self {
            control,
            id: maps.id("TRACE")?,
            records: maps.traced()?,
            lost: maps.trace_lost()?,
            lost_before: 0,
            wanted: TraceControl {
                reader: u64::from(std::process::id()) << 32 | monotonic() >> 10 & 0xffff_ffff,
                ..wanted
            },
        };
        // What a killed reader left.
        while tracing.records.next().is_some() {}
        tracing.lost_before = tracing.all_lost()?;
        tracing.write(monotonic() + LEASE.as_nanos() as u64)?;
        Ok(tracing)
    }

    /// Packets of another rule, from the next renewal on.
    pub fn follow(&mut self, rule: u32) {
        self.wanted.rule = rule;
    }

    /// Fails if somebody else reads now, because this process slept through its lease.
    pub fn renew(&mut self, instance: &Instance) -> Result<(), Error> {
        let Plain(control) = self.control.get(&0, 0).map_err(Error::map("TRACE"))?;
        if control.reader != self.wanted.reader {
            return Err(Error::Traced {
                name: instance.name.clone(),
            });
        }
        self.write(monotonic() + LEASE.as_nanos() as u64)
    }

    /// None until there are more.
    pub fn take(&mut self) -> Option<TraceRecord> {
        let record = self.records.next()?;
        bytemuck::try_pod_read_unaligned(&record).ok()
    }

    /// Packets since the beginning for which the ring buffer had no room.
    pub fn lost(&self) -> Result<u64, Error> {
        Ok(self.all_lost()?.saturating_sub(self.lost_before))
    }

    /// Whether it reads what is loaded by this name now.
    pub fn is_of(&self, instance: &Instance) -> Result<bool, Error> {
        Ok(instance.maps.id("TRACE")? == self.id)
    }

    fn all_lost(&self) -> Result<u64, Error> {
        let per_cpu = self.lost.get(&0, 0).map_err(Error::map("TRACE_LOST"))?;
        Ok(per_cpu.iter().map(|Plain(count)| count).sum())
    }

    fn write(&mut self, until: u64) -> Result<(), Error> {
        self.wanted.until = until;
        self.control
            .set(0, Plain(self.wanted), 0)
            .map_err(Error::map("TRACE"))
    }
}

impl AsRawFd for Tracing {
    fn as_raw_fd(&self) -> RawFd {
        self.records.as_raw_fd()
    }
}

impl AsFd for Tracing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.records.as_fd()
    }
}

impl Drop for Tracing {
    fn drop(&mut self) {
        // If it fails, the lease ends by itself.
        let _ = self.write(0);
    }
}

fn is_leased(control: &Values<TraceControl>) -> Result<bool, Error> {
    let Plain(control) = control.get(&0, 0).map_err(Error::map("TRACE"))?;
    Ok(control.until > monotonic())
}

/// The clock of the records, in nanoseconds.
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    now.as_nanos() as u64
}
