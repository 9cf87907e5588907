//! `redirector dashboard`: a page, the documents of the reading commands, live events and metrics.
//!
//! Reads pinned maps and changes nothing. What it keeps is bounded: connections, streams, the history, and
//! few renderings of each document.

mod access;
mod api;
mod assets;
mod attempts;
mod connections;
mod documents;
mod events;
mod feed;
mod headers;
mod live;
mod memory;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, time};

pub use self::access::{Access, Token, TokenError};
use self::{api::Documents, feed::Feed};
use crate::config::Name;

/// What a request may take, streams apart.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// Only a token is ever sent here.
const BODY_LIMIT: usize = 4096;

struct Dashboard {
    access: Access,
    documents: Documents,
    feed: Feed,
}

/// Serves until the returned future is dropped; samples from then on, whoever looks.
pub async fn serve(listener: TcpListener, name: Name, access: Access) {
    memory::give_back();
    let feed = Feed::start(name.clone());
    let dashboard = Arc::new(Dashboard {
        access,
        documents: Documents::new(&name, &feed),
        feed,
    });
    connections::serve(listener, router(dashboard)).await;
}

/// Only this host can reach it.
pub fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn router(dashboard: Arc<Dashboard>) -> Router {
    let limited = Router::new()
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/stats", get(api::stats))
        .route("/api/v1/flows", get(api::flows))
        .route("/api/v1/history", get(api::history))
        .route("/metrics", get(api::metrics))
        .route("/healthz", get(api::health))
        .route("/login", get(access::form).post(access::login))
        .merge(assets::router())
        .layer(middleware::from_fn(limit));
    Router::new()
        .route("/api/v1/events", get(events::stream))
        .merge(limited)
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is no such page here\n") })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(dashboard.clone(), guard))
        .layer(middleware::map_response(headers::add))
        .with_state(dashboard)
}

async fn guard(State(dashboard): State<Arc<Dashboard>>, request: Request, next: Next) -> Response {
    match dashboard.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn limit(request: Request, next: Next) -> Response {
    time::timeout(REQUEST_LIMIT, next.run(request))
        .await
        .unwrap_or_else(|_| {
            (StatusCode::SERVICE_UNAVAILABLE, "this took too long\n").into_response()
        })
}
