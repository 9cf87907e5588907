//! The thread that reads, so that keys never wait for maps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    config::Name,
    kernel::Instance,
    output,
    stats::{Sample, Sampler, flows, flows::TrackedFlow},
    tune,
};

pub struct Reader {
    updates: Receiver<Update>,
    wants_flows: Arc<AtomicBool>,
}

pub struct Update {
    pub sample: Result<Sample, String>,
    /// If they are wanted.
    pub flows: Option<Vec<TrackedFlow>>,
}

impl Reader {
    pub fn start(name: Name, interval: Duration) -> Self {
        // One is shown while the next is read.
        let (sender, updates) = mpsc::sync_channel(1);
        let wants_flows = Arc::new(AtomicBool::new(true));
        let wants = wants_flows.clone();
        thread::spawn(move || {
            let mut sampler = Sampler::new(name.clone(), tune::bounds);
            loop {
                let begun = Instant::now();
                let sample = sampler.sample().map_err(|error| output::chain(&error));
                let flows = (sample.is_ok() && wants.load(Ordering::Relaxed))
                    .then(|| read_flows(&name))
                    .flatten();
                if sender.send(Update { sample, flows }).is_err() {
                    return;
                }
                thread::sleep(interval.saturating_sub(begun.elapsed()));
            }
        });
        Self {
            updates,
            wants_flows,
        }
    }

    pub fn update(&self) -> Option<Update> {
        self.updates.try_recv().ok()
    }

    pub fn want_flows(&self, wanted: bool) {
        self.wants_flows.store(wanted, Ordering::Relaxed);
    }
}

/// Between two looks it may have been unloaded; the next sample says so.
fn read_flows(name: &Name) -> Option<Vec<TrackedFlow>> {
    flows::read(&Instance::open(name).ok()?).ok()
}
