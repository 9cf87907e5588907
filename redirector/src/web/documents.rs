//! Documents that are read and rendered when somebody asks. However many ask, one of a kind is rendered at a
//! time, and few large ones are on their way at once.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use hyper::body::Bytes;
use serde::Serialize;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore},
    task, time,
};

use crate::{
    kernel,
    output::{self, SCHEMA},
};

pub const JSON: &str = "application/json";

/// Bytes of a body that needs no place.
const SMALL: usize = 64 * 1024;

/// Larger bodies of one document at a time; a table full of flows makes one of 60 MB. Any number of clients
/// share one.
const PLACES: usize = 3;
/// How long a client may take for one. Who takes nothing is let go by [`super::connections`].
const SLOWEST: Duration = Duration::from_secs(120);

pub struct Document {
    kind: &'static str,
    /// Who asks within this time after another gets the same answer.
    fresh: Duration,
    render: Arc<Render>,
    last: Arc<Mutex<Option<(Instant, Reply)>>>,
    places: Arc<Semaphore>,
}

type Render = dyn Fn() -> Result<String, Failure> + Send + Sync;

#[derive(Clone)]
struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Metrics(#[from] std::fmt::Error),
}

#[derive(Serialize)]
struct Problem {
    schema: u32,
    error: String,
}

/// A body that is on its way, or may be asked for; its place is given back when the last client has it.
struct Placed {
    text: Box<str>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Document {
    pub fn new(
        kind: &'static str,
        fresh: Duration,
        render: impl Fn() -> Result<String, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            fresh,
            render: Arc::new(render),
            last: Arc::default(),
            places: Arc::new(Semaphore::new(PLACES)),
        }
    }

    pub async fn answer(&self) -> Response {
        self.reply().await.into_response()
    }

    async fn reply(&self) -> Reply {
        // Held until it is rendered, even if whoever asked has gone.
        let mut last = self.last.clone().lock_owned().await;
        if let Some((when, reply)) = &*last
            && when.elapsed() < self.fresh
        {
            return reply.clone();
        }
        // It may be what keeps the place that is waited for.
        *last = None;
        let Ok(place) = self.places.clone().acquire_owned().await else {
            // Never closed, hence always some.
            return Reply::empty(StatusCode::SERVICE_UNAVAILABLE, self.kind);
        };
        let (kind, render) = (self.kind, self.render.clone());
        let forget = forget(self.last.clone(), self.fresh);
        // A task of its own: whoever asked may go meanwhile.
        let rendered = tokio::spawn(async move {
            let rendered = task::spawn_blocking(move || match render() {
                Ok(text) => Reply {
                    status: StatusCode::OK,
                    kind,
                    body: body(text, place),
                },
                Err(failure) => Reply::failed(&failure),
            });
            let reply = rendered
                .await
                .unwrap_or_else(|_| Reply::empty(StatusCode::INTERNAL_SERVER_ERROR, kind));
            *last = Some((Instant::now(), reply.clone()));
            tokio::spawn(forget);
            reply
        });
        rendered
            .await
            .unwrap_or_else(|_| Reply::empty(StatusCode::INTERNAL_SERVER_ERROR, kind))
    }
}

/// In time, so that nothing is kept that nobody will get.
async fn forget(last: Arc<Mutex<Option<(Instant, Reply)>>>, fresh: Duration) {
    time::sleep(fresh).await;
    let mut last = last.lock().await;
    if last
        .as_ref()
        .is_some_and(|(when, _)| when.elapsed() >= fresh)
    {
        *last = None;
    }
}

impl Reply {
    pub fn failed(failure: &Failure) -> Self {
        let status = match failure {
            Failure::Kernel(error) if error.is_nothing_to_read() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let problem = Problem {
            schema: SCHEMA,
            error: output::chain(failure),
        };
        Self {
            status,
            kind: JSON,
            body: output::json(&problem).unwrap_or_default().into(),
        }
    }

    const fn empty(status: StatusCode, kind: &'static str) -> Self {
        let body = Bytes::new();
        Self { status, kind, body }
    }

    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))];
        let body = match self.body.len() {
            0..=SMALL => Body::from(self.body),
            _ => Body::from_stream(parts(self.body)),
        };
        (self.status, kind, body).into_response()
    }
}

/// Ends early for a client that takes it slowly: others wait for its place.
fn parts(body: Bytes) -> impl stream::Stream<Item = io::Result<Bytes>> {
    let until = Instant::now() + SLOWEST;
    stream::unfold(body, move |mut body| async move {
        if body.is_empty() {
            return None;
        }
        if Instant::now() > until {
            return Some((Err(io::ErrorKind::TimedOut.into()), Bytes::new()));
        }
        let part = body.split_to(body.len().min(SMALL));
        Some((Ok(part), body))
    })
}

fn body(text: String, place: OwnedSemaphorePermit) -> Bytes {
    if text.len() <= SMALL {
        return text.into();
    }
    Bytes::from_owner(Placed {
        text: text.into_boxed_str(),
        _place: place,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LARGE: usize = 2 * SMALL;

    fn document(length: usize, rendered: &Arc<AtomicUsize>) -> Arc<Document> {
        let rendered = rendered.clone();
        let render = move || {
            rendered.fetch_add(1, Ordering::Relaxed);
            Ok("x".repeat(length))
        };
        Arc::new(Document::new(JSON, Duration::from_millis(100), render))
    }

    fn free(document: &Document) -> usize {
        document.places.available_permits()
    }

    async fn until_free(document: &Document) {
        let start = Instant::now();
        while free(document) < PLACES {
            assert!(start.elapsed() < Duration::from_secs(20), "a place is kept");
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn a_rendering_is_shared_and_holds_one_place() {
        let rendered = Arc::default();
        let document = document(LARGE, &rendered);
        let replies = [document.reply().await, document.reply().await];
        assert_eq!(rendered.load(Ordering::Relaxed), 1);
        assert_eq!(free(&document), PLACES - 1);
        drop(replies);
        until_free(&document).await;
    }

    #[tokio::test]
    async fn who_asks_when_no_place_is_left_waits() {
        let document = document(LARGE, &Arc::default());
        let mut held = Vec::new();
        while held.len() < PLACES {
            held.push(document.reply().await);
            *document.last.lock().await = None;
        }
        assert_eq!(free(&document), 0);
        let waits = time::timeout(Duration::from_millis(50), document.reply()).await;
        assert!(waits.is_err());
        held.pop();
        document.reply().await;
    }

    #[tokio::test]
    async fn what_is_fresh_keeps_nobody_waiting_for_its_own_place() {
        let document = document(LARGE, &Arc::default());
        let mut held = Vec::new();
        for _ in 1..PLACES {
            held.push(document.reply().await);
            *document.last.lock().await = None;
        }
        drop(document.reply().await);
        if let Some((when, _)) = &mut *document.last.lock().await {
            *when -= document.fresh;
        }
        document.reply().await;
    }

    #[tokio::test]
    async fn small_ones_and_failures_hold_none() {
        let small = document(SMALL, &Arc::default());
        let _reply = small.reply().await;
        assert_eq!(free(&small), PLACES);
        let failing = Document::new(JSON, Duration::ZERO, || Err(std::fmt::Error.into()));
        let reply = failing.reply().await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(free(&failing), PLACES);
    }

    #[tokio::test]
    async fn nothing_is_kept_for_who_has_gone() {
        let document = document(LARGE, &Arc::default());
        let asker = tokio::spawn({
            let document = document.clone();
            async move { document.reply().await }
        });
        task::yield_now().await;
        asker.abort();
        until_free(&document).await;
        assert!(document.last.lock().await.is_none());
    }
}
