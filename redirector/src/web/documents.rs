//! Documents that are read and rendered when somebody asks. However many ask, one of a kind is rendered at a
//! time, and few large ones are on their way at once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
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
/// share one, and have it for [`super::connections`]' limit at most if they take nothing.
const PLACES: usize = 3;

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
            return Reply::empty(StatusCode::SERVICE_UNAVAILABLE, self.kind);
        };
        let (kind, render) = (self.kind, self.render.clone());
        let rendered = task::spawn_blocking(move || {
            let reply = render().map_or_else(
                |failure| Reply::failed(&failure),
                |text| Reply {
                    status: StatusCode::OK,
                    kind,
                    body: body(text, place),
                },
            );
            *last = Some((Instant::now(), reply.clone()));
            reply
        });
        let Ok(reply) = rendered.await else {
            return Reply::empty(StatusCode::INTERNAL_SERVER_ERROR, kind);
        };
        self.forget_in_time();
        reply
    }

    /// So that nothing is kept that nobody will get.
    fn forget_in_time(&self) {
        let (last, fresh) = (self.last.clone(), self.fresh);
        tokio::spawn(async move {
            time::sleep(fresh).await;
            let mut last = last.lock().await;
            if last
                .as_ref()
                .is_some_and(|(when, _)| when.elapsed() >= fresh)
            {
                *last = None;
            }
        });
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
        (self.status, kind, self.body).into_response()
    }
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
