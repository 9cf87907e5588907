//! How long a run of the programs takes under load, as the kernel itself counts it.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use aya::{
    programs::ProgramInfo,
    sys::{Stats, enable_stats},
};

use super::{Numbers, Stage, web};
use crate::bench::figures::Figure;

/// Run time in nanoseconds and run count, by program.
type Counts = BTreeMap<PathBuf, (u64, u64)>;

/// A packet that comes in meets the program of XDP, if there is one, and that of traffic control: what a packet costs is
/// the sum of what a run of each does.
pub fn under_load(stage: &Stage<'_>) -> Result<Numbers> {
    // Counting costs more than the programs: it is on only for as long as this is held, whatever
    // becomes of this process, and kernel.bpf_stats_enabled keeps its value.
    let counting = enable_stats(Stats::RunTime).context("BPF_ENABLE_STATS")?;
    let before = counts(stage)?;
    web::wrk(stage, &[])?;
    let after = counts(stage)?;
    drop(counting);
    let mut numbers = Vec::new();
    for (figure, egress) in [(Figure::Ingress, false), (Figure::Egress, true)] {
        let mut sum = 0.0;
        for (pin, (time, runs)) in after.iter().filter(|(pin, _)| is_egress(pin) == egress) {
            let (time_before, runs_before) = before.get(pin).copied().unwrap_or_default();
            let runs = runs.saturating_sub(runs_before);
            if runs != 0 {
                sum += time.saturating_sub(time_before) as f64 / runs as f64;
            }
        }
        ensure!(sum > 0.0, "no program of that direction ran");
        numbers.push((figure, sum));
    }
    Ok(numbers)
}

fn counts(stage: &Stage<'_>) -> Result<Counts> {
    let mut counts = Counts::new();
    for pin in pins(stage)? {
        let info = ProgramInfo::from_pin(&pin).with_context(|| pin.display().to_string())?;
        let time = u64::try_from(info.run_time().as_nanos())?;
        counts.insert(pin, (time, info.run_count()));
    }
    Ok(counts)
}

/// The programs of the instance.
pub fn pins(stage: &Stage<'_>) -> Result<Vec<PathBuf>> {
    let directory = stage.instance()?.pins("programs");
    let mut pins = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        pins.push(entry?.path());
    }
    pins.sort();
    Ok(pins)
}

pub fn is_egress(pin: &std::path::Path) -> bool {
    let name = pin.file_name().unwrap_or_default();
    name.to_string_lossy().contains("egress")
}
