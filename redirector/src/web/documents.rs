//! Documents that are read and rendered when somebody asks. However many ask, one of a kind is rendered at a
//! time, and few large ones are on their way at once.

use std::{
    convert::Infallible,
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

/// Places for bodies that are larger; a table full of flows makes one of 60 MB.
pub struct Places(Arc<Semaphore>);

pub struct Document {
    kind: &'static str,
    /// Who asks within this time after another gets the same answer.
    fresh: Duration,
    render: Arc<Render>,
    last: Arc<Mutex<Option<(Instant, Reply)>>>,
    places: Places,
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

impl Places {
    pub fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    pub fn document(
        self,
        kind: &'static str,
        fresh: Duration,
        render: impl Fn() -> Result<String, Failure> + Send + Sync + 'static,
    ) -> Document {
        Document {
            kind,
            fresh,
            render: Arc::new(render),
            last: Arc::default(),
            places: self,
        }
    }
}

impl Document {
    pub async fn answer(&self) -> Response {
        // Before it is rendered: who waits holds nothing.
        let Ok(place) = self.places.0.clone().acquire_owned().await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let reply = self.reply().await;
        if reply.body.len() <= SMALL {
            return reply.into_response(Body::from);
        }
        reply.into_response(|body| Body::from_stream(parts(body, place)))
    }

    async fn reply(&self) -> Reply {
        // Held until it is rendered, even if whoever asked has gone.
        let mut last = self.last.clone().lock_owned().await;
        if let Some((when, reply)) = &*last
            && when.elapsed() < self.fresh
        {
            return reply.clone();
        }
        let (kind, render) = (self.kind, self.render.clone());
        let rendered = task::spawn_blocking(move || {
            let reply = render().map_or_else(
                |failure| Reply::failed(&failure),
                |text| Reply {
                    status: StatusCode::OK,
                    kind,
                    body: text.into(),
                },
            );
            *last = Some((Instant::now(), reply.clone()));
            reply
        });
        let Ok(reply) = rendered.await else {
            return Reply {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                kind,
                body: Bytes::new(),
            };
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

    fn into_response(self, body: impl FnOnce(Bytes) -> Body) -> Response {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))];
        (self.status, kind, body(self.body)).into_response()
    }
}

/// The place is given back when the last part is taken, or the client has gone.
fn parts(
    body: Bytes,
    place: OwnedSemaphorePermit,
) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold((body, place), |(mut body, place)| async move {
        if body.is_empty() {
            return None;
        }
        let part = body.split_to(body.len().min(SMALL));
        Some((Ok(part), (body, place)))
    })
}
