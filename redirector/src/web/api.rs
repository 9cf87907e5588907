//! The documents that the reading commands print, byte for byte.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::body::Bytes;
use serde::Serialize;
use tokio::{sync::Mutex, task};

use super::Dashboard;
use crate::{
    config::Name,
    kernel::{self, Instance},
    output::{self, SCHEMA, flows, openmetrics, stats, status},
    stats::{Sample, Sampler, flows as tracked},
    tune,
};

/// Who asks within this time after another gets the same answer.
const FRESH: Duration = Duration::from_millis(100);

const JSON: &str = "application/json";

pub struct Documents {
    status: Document,
    stats: Document,
    flows: Document,
    metrics: Document,
}

/// One at a time is read and rendered, however many ask.
struct Document {
    name: Name,
    render: fn(&Name) -> Result<String, Failure>,
    last: Arc<Mutex<Option<(Instant, Reply)>>>,
}

#[derive(Clone)]
struct Reply {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
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

impl Documents {
    pub fn new(name: Name) -> Self {
        let document = |render| Document {
            name: name.clone(),
            render,
            last: Arc::default(),
        };
        Self {
            status: document(render_status),
            stats: document(render_stats),
            flows: document(render_flows),
            metrics: document(render_metrics),
        }
    }
}

pub async fn status(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.status.reply(JSON).await.into_response()
}

pub async fn stats(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.stats.reply(JSON).await.into_response()
}

pub async fn flows(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.flows.reply(JSON).await.into_response()
}

/// OpenMetrics for those who ask for it, as Prometheus does, else its older text format.
pub async fn metrics(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    let wants_open = accepted.any(|accept| {
        let accept = accept.to_str().unwrap_or_default();
        accept.contains("application/openmetrics-text")
    });
    let reply = dashboard.documents.metrics.reply(openmetrics::OPEN).await;
    if wants_open || reply.status != StatusCode::OK {
        return reply.into_response();
    }
    let text = String::from_utf8_lossy(&reply.body);
    let kind = [(header::CONTENT_TYPE, openmetrics::CLASSIC)];
    (kind, openmetrics::classic(&text)).into_response()
}

pub async fn history(State(dashboard): State<Arc<Dashboard>>) -> Response {
    json(&dashboard.feed.history())
}

/// Whether the dashboard does its work. That nothing is loaded is none of its faults.
pub async fn health(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let health = dashboard.feed.health();
    let status = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, json(&health)).into_response()
}

fn json(document: &impl Serialize) -> Response {
    match output::json_line(document) {
        Ok(text) => ([(header::CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => Reply::failed(&error.into()).into_response(),
    }
}

impl Document {
    async fn reply(&self, kind: &'static str) -> Reply {
        let (name, render) = (self.name.clone(), self.render);
        // Held until it is rendered, even if whoever asked has gone.
        let mut last = self.last.clone().lock_owned().await;
        if let Some((when, reply)) = &*last
            && when.elapsed() < FRESH
        {
            return reply.clone();
        }
        let rendered = task::spawn_blocking(move || {
            let reply = render(&name).map_or_else(
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
        rendered.await.unwrap_or_else(|_| Reply {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: JSON,
            body: Bytes::new(),
        })
    }
}

impl Reply {
    fn failed(failure: &Failure) -> Self {
        let status = match failure {
            Failure::Kernel(kernel::Error::NotLoaded { .. }) => StatusCode::SERVICE_UNAVAILABLE,
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
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(self.kind))];
        (self.status, kind, self.body).into_response()
    }
}

fn render_status(name: &Name) -> Result<String, Failure> {
    Ok(output::json(&status::read(name)?)?)
}

fn render_stats(name: &Name) -> Result<String, Failure> {
    let sample = sample(name)?;
    Ok(output::json(&stats::Document::new(name.clone(), &sample))?)
}

fn render_flows(name: &Name) -> Result<String, Failure> {
    let flows = tracked::read(&Instance::open(name)?)?;
    Ok(output::json(&flows::Document::new(name.clone(), &flows))?)
}

/// Without an instance there still are metrics, which say so.
fn render_metrics(name: &Name) -> Result<String, Failure> {
    let status = status::read(name)?;
    let sample = match sample(name) {
        Ok(sample) => Some(sample),
        Err(kernel::Error::NotLoaded { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(openmetrics::text(&status, sample.as_ref())?)
}

fn sample(name: &Name) -> Result<Sample, kernel::Error> {
    Sampler::new(name.clone(), tune::bounds()).sample()
}
