//! One thread samples, whoever looks; what it sees is kept for the history and told to the streams.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    broadcast::{self, error::RecvError},
};

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

/// The place of one stream.
pub struct Subscription {
    feed: Feed,
    /// What was told last before it began.
    earlier: std::vec::IntoIter<Message>,
    messages: broadcast::Receiver<Message>,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    pub fn start(name: Name) -> Self {
        let feed = Self::new(name.clone());
        let (shared, messages) = (feed.shared.clone(), feed.messages.clone());
        thread::spawn(move || shared.sample(Sampler::new(name, tune::bounds), &messages));
        feed
    }

    fn new(name: Name) -> Self {
        let shared = Arc::new(Shared {
            name,
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
        Self {
            shared,
            messages,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// What was told last, and what will be; `None` if there are too many streams.
    pub fn subscribe(&self) -> Option<Subscription> {
        let place = self.streams.clone().try_acquire_owned().ok()?;
        let (earlier, messages) = self.latest();
        Some(Subscription {
            feed: self.clone(),
            earlier,
            messages,
            _place: place,
        })
    }

    fn latest(&self) -> (std::vec::IntoIter<Message>, broadcast::Receiver<Message>) {
        let messages = self.messages.subscribe();
        let latest = lock(&self.shared.latest);
        let earlier: Vec<_> = latest.status.iter().chain(&latest.live).cloned().collect();
        (earlier.into_iter(), messages)
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

impl Subscription {
    /// Who is too slow misses some, and then begins anew: among them may have been a status, which is told
    /// only when it changes.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.earlier.next() {
                return Some(message);
            }
            match self.messages.recv().await {
                Ok(message) => return Some(message),
                Err(RecvError::Lagged(_)) => {
                    (self.earlier, self.messages) = self.feed.latest();
                }
                Err(RecvError::Closed) => return None,
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &'static str, data: &str) -> Message {
        Message {
            name,
            data: data.into(),
        }
    }

    #[tokio::test]
    async fn a_slow_stream_misses_no_change_of_the_status() {
        let feed = Feed::new("web".parse().unwrap());
        let mut stream = feed.subscribe().unwrap();
        let changed = message("status", "detached");
        lock(&feed.shared.latest).status = Some(changed.clone());
        _ = feed.messages.send(changed);
        for second in 0..2 * BEHIND {
            let sample = message("sample", &second.to_string());
            lock(&feed.shared.latest).live = Some(sample.clone());
            _ = feed.messages.send(sample);
        }
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(stream.next().await.unwrap().data);
        }
        assert_eq!(
            told.iter().map(|data| &**data).collect::<Vec<_>>(),
            ["detached", "7"]
        );
        _ = feed.messages.send(message("sample", "8"));
        assert_eq!(&*stream.next().await.unwrap().data, "8", "in order");
    }
}
