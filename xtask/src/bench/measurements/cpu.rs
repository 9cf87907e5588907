//! CPU time of the programs of a sample. Not that of the whole machine: then everything else that it
//! does would count. A packet over veth is carried by whoever sends it, receiver's side and all, in
//! interrupt context of that program; the scheduler counts that for the program, unless the kernel
//! counts interrupts apart. Those are known only for the whole machine and are added then. What
//! ksoftirqd does under more load than ours is left out.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};
use procfs::{CurrentSI as _, KernelStats, process::all_processes};

use crate::{bench::facts, sys};

/// How a kernel that counts interrupts apart is configured.
const APART: &str = "CONFIG_IRQ_TIME_ACCOUNTING=y";

/// Nanoseconds of these programs and their children, and of interrupts where they count apart.
pub fn of(programs: &[u32]) -> Result<u64> {
    let mut sum = interrupts()?;
    for process in all_processes()?.flatten() {
        // One that ends meanwhile is none of ours.
        let Ok(stat) = process.stat() else { continue };
        let is_ours = |id: i32| u32::try_from(id).is_ok_and(|id| programs.contains(&id));
        if !is_ours(stat.pid) && !is_ours(stat.ppid) {
            continue;
        }
        for thread in fs::read_dir(format!("/proc/{}/task", stat.pid))? {
            sum += run_time(&thread?.path().join("schedstat").to_string_lossy())?;
        }
    }
    Ok(sum)
}

/// Nanoseconds of the thread that asks.
pub fn of_this_thread() -> Result<u64> {
    run_time("/proc/thread-self/schedstat")
}

fn run_time(path: &str) -> Result<u64> {
    let text = fs::read_to_string(path).context("the kernel keeps no schedstat")?;
    let run_time = text.split_whitespace().next();
    run_time
        .and_then(|nanoseconds| nanoseconds.parse().ok())
        .with_context(|| format!("{path}: {text}"))
}

fn interrupts() -> Result<u64> {
    if !count_apart() {
        return Ok(0);
    }
    let total = KernelStats::current()?.total;
    let ticks = total.irq.unwrap_or(0) + total.softirq.unwrap_or(0);
    Ok(ticks * (1_000_000_000 / procfs::ticks_per_second()))
}

fn count_apart() -> bool {
    let installed = format!("/boot/config-{}", facts::kernel());
    let configuration = sys::ask(Command::new("zcat").arg("/proc/config.gz"))
        .or_else(|| fs::read_to_string(installed).ok());
    configuration.is_some_and(|text| text.lines().any(|line| line == APART))
}
