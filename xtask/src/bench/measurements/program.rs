//! How long a run of the programs takes under load, as the kernel itself counts it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use aya::{
    programs::ProgramInfo,
    sys::{Stats, enable_stats},
};

use super::{Numbers, Stage, web};
use crate::bench::figures::Figure;

/// Run time and run count, of ingress and of egress.
type Sums = [(u64, u64); 2];

pub fn under_load(stage: &Stage<'_>) -> Result<Numbers> {
    // Counting costs more than the programs: it is on only for as long as this is held, whatever
    // becomes of this process, and kernel.bpf_stats_enabled keeps its value.
    let counting = enable_stats(Stats::RunTime).context("BPF_ENABLE_STATS")?;
    let before = sums(stage)?;
    web::wrk(stage, &[])?;
    let after = sums(stage)?;
    drop(counting);
    let figures = [Figure::Ingress, Figure::Egress];
    let numbers = figures.into_iter().zip(before).zip(after);
    Ok(numbers
        .filter_map(|((figure, before), after)| {
            let [time, runs] = [
                after.0.checked_sub(before.0)?,
                after.1.checked_sub(before.1)?,
            ];
            (runs != 0).then(|| (figure, time as f64 / runs as f64))
        })
        .collect())
}

fn sums(stage: &Stage<'_>) -> Result<Sums> {
    let mut sums = Sums::default();
    for pin in pins(stage)? {
        let info = ProgramInfo::from_pin(&pin).with_context(|| pin.display().to_string())?;
        let [ingress, egress] = &mut sums;
        let sum = if is_egress(&pin) { egress } else { ingress };
        sum.0 += u64::try_from(info.run_time().as_nanos())?;
        sum.1 += info.run_count();
    }
    Ok(sums)
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
