//! One thread samples, whoever looks; what it sees is kept for the history and told to the streams.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use super::live;
use crate::{
    config::Name,
    kernel, output,
    output::status,
    stats::{History, Sample, Sampler},
    tune,
};

const INTERVAL: Duration = Duration::from_secs(1);
/// A quarter of an hour.
const POINTS: usize = 900;
/// Of which rules there is a history, and of which each event tells.
pub const RULES: usize = 32;
/// Samples between two looks at what is attached where.
const STATUS_EVERY: u32 = 5;
/// Messages that a slow stream may be behind before it misses some.
const BEHIND: usize = 4;
const STREAMS: usize = 256;
/// Without a sample for so long something is wrong.
const LATE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
    messages: broadcast::Sender<Message>,
    streams: Arc<Semaphore>,
}

/// An event, rendered once for all streams.
#[derive(Clone)]
pub struct Message {
    pub name: &'static str,
    pub data: Arc<str>,
}

#[derive(Serialize)]
pub struct Health {
    schema: u32,
    pub healthy: bool,
    loaded: bool,
}

struct Shared {
    name: Name,
    history: Mutex<History>,
    latest: Mutex<Latest>,
}

struct Latest {
    at: Instant,
    loaded: bool,
    /// Why nothing was read, other than that nothing is loaded.
    failed: bool,
    status: Option<Message>,
    live: Option<Message>,
}

pub type Subscription = (
    Vec<Message>,
    broadcast::Receiver<Message>,
    OwnedSemaphorePermit,
);

impl Feed {
    pub fn start(name: Name) -> Self {
        let shared = Arc::new(Shared {
            name: name.clone(),
            history: Mutex::new(History::new(POINTS, RULES)),
            latest: Mutex::new(Latest {
                at: Instant::now(),
                loaded: false,
                failed: false,
                status: None,
                live: None,
            }),
        });
        let (messages, _) = broadcast::channel(BEHIND);
        let feed = Self {
            shared: shared.clone(),
            messages: messages.clone(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        };
        thread::spawn(move || shared.sample(Sampler::new(name, tune::bounds()), &messages));
        feed
    }

    /// What was told last, and what will be; `None` if there are too many streams.
    pub fn subscribe(&self) -> Option<Subscription> {
        let place = self.streams.clone().try_acquire_owned().ok()?;
        let messages = self.messages.subscribe();
        let latest = lock(&self.shared.latest);
        let earlier = latest.status.iter().chain(&latest.live).cloned().collect();
        Some((earlier, messages, place))
    }

    pub fn history(&self) -> live::Past {
        live::Past::new(&self.shared.name, &lock(&self.shared.history))
    }

    pub fn health(&self) -> Health {
        let latest = lock(&self.shared.latest);
        Health {
            schema: output::SCHEMA,
            healthy: !latest.failed && latest.at.elapsed() < LATE,
            loaded: latest.loaded,
        }
    }
}

impl Shared {
    fn sample(&self, mut sampler: Sampler, messages: &broadcast::Sender<Message>) {
        let mut was_loaded = None;
        for count in (0..STATUS_EVERY).cycle() {
            let begun = Instant::now();
            let sample = sampler.sample();
            let is_loaded = sample.is_ok();
            if count == 0 || was_loaded != Some(is_loaded) {
                self.tell_status(messages);
            }
            was_loaded = Some(is_loaded);
            self.tell_sample(&sample, messages);
            thread::sleep(INTERVAL.saturating_sub(begun.elapsed()));
        }
    }

    /// If it has changed.
    fn tell_status(&self, messages: &broadcast::Sender<Message>) {
        let Ok(mut document) = status::read(&self.name) else {
            return;
        };
        // Samples tell of those that are shown; ten thousand are a megabyte.
        document.rules.clear();
        let Some(message) = Message::new("status", &document) else {
            return;
        };
        let mut latest = lock(&self.latest);
        if latest
            .status
            .as_ref()
            .is_none_or(|last| last.data != message.data)
        {
            latest.status = Some(message.clone());
            // Nobody may be listening.
            _ = messages.send(message);
        }
    }

    fn tell_sample(
        &self,
        sample: &Result<Sample, kernel::Error>,
        messages: &broadcast::Sender<Message>,
    ) {
        let message = {
            let mut history = lock(&self.history);
            match sample {
                Ok(sample) => {
                    history.push(sample);
                    Message::new("sample", &live::Live::new(&self.name, sample, &history))
                }
                Err(error) => {
                    history.push_gap();
                    Message::new("sample", &live::Nothing::new(&self.name, error))
                }
            }
        };
        let mut latest = lock(&self.latest);
        latest.at = Instant::now();
        latest.loaded = sample.is_ok();
        latest.failed = matches!(sample, Err(error) if !error.is_nothing_to_read());
        latest.live.clone_from(&message);
        if let Some(message) = message {
            _ = messages.send(message);
        }
    }
}

impl Message {
    fn new(name: &'static str, document: &impl Serialize) -> Option<Self> {
        let data = serde_json::to_string(document).ok()?.into();
        Some(Self { name, data })
    }
}

/// What a panic left is still a history.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
