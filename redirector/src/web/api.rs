//! The documents that the reading commands print, byte for byte, and those that only a server has.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Dashboard,
    documents::{Document, Failure, JSON},
    feed::Feed,
};
use crate::{
    config::Name,
    kernel::{self, Instance},
    output::{self, flows, openmetrics, stats, status},
    stats::{Sample, Sampler, flows as tracked},
    tune,
};

const FRESH: Duration = Duration::from_millis(100);
/// It has a new point each second.
const FRESH_HISTORY: Duration = Duration::from_secs(1);

pub struct Documents {
    status: Document,
    stats: Document,
    flows: Document,
    history: Document,
    open_metrics: Document,
    classic_metrics: Document,
}

impl Documents {
    pub fn new(name: &Name, feed: &Feed) -> Self {
        let document = |kind, render: fn(&Name) -> Result<String, Failure>| {
            let name = name.clone();
            Document::new(kind, FRESH, move || render(&name))
        };
        let feed = feed.clone();
        Self {
            status: document(JSON, |name| Ok(output::json(&status::read(name)?)?)),
            stats: document(JSON, render_stats),
            flows: document(JSON, render_flows),
            history: Document::new(JSON, FRESH_HISTORY, move || {
                Ok(output::json_line(&feed.history())?)
            }),
            open_metrics: document(openmetrics::OPEN, render_metrics),
            classic_metrics: document(openmetrics::CLASSIC, |name| {
                Ok(openmetrics::classic(&render_metrics(name)?))
            }),
        }
    }
}

pub async fn status(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.status.answer().await
}

pub async fn stats(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.stats.answer().await
}

pub async fn flows(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.flows.answer().await
}

pub async fn history(State(dashboard): State<Arc<Dashboard>>) -> Response {
    dashboard.documents.history.answer().await
}

/// OpenMetrics for those who ask for it, as Prometheus does, else its older text format.
pub async fn metrics(State(dashboard): State<Arc<Dashboard>>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    let wants_open = accepted.any(|accept| {
        let accept = accept.to_str().unwrap_or_default();
        accept.contains("application/openmetrics-text")
    });
    if wants_open {
        dashboard.documents.open_metrics.answer().await
    } else {
        dashboard.documents.classic_metrics.answer().await
    }
}

/// Whether the dashboard does its work. That nothing is loaded is none of its faults.
pub async fn health(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let health = dashboard.feed.health();
    let status = if health.healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let kind = [(header::CONTENT_TYPE, JSON)];
    let text = output::json_line(&health).unwrap_or_default();
    (status, kind, text).into_response()
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
        Err(error) if error.is_nothing_to_read() => None,
        Err(error) => return Err(error.into()),
    };
    Ok(openmetrics::text(&status, sample.as_ref())?)
}

fn sample(name: &Name) -> Result<Sample, kernel::Error> {
    Sampler::new(name.clone(), tune::bounds).sample()
}
