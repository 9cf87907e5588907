//! The page's files, part of the program.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::Dashboard;

struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($path:literal, $kind:literal, $file:literal) => {
        Asset {
            path: $path,
            kind: concat!($kind, "; charset=utf-8"),
            text: include_str!(concat!("../../assets/", $file)),
        }
    };
}

static ASSETS: [Asset; 13] = [
    asset!("/", "text/html", "dashboard/index.html"),
    asset!("/assets/page.css", "text/css", "dashboard/page.css"),
    asset!("/assets/icon.svg", "image/svg+xml", "dashboard/icon.svg"),
    asset!("/assets/page.js", "text/javascript", "dashboard/page.js"),
    asset!(
        "/assets/charts.js",
        "text/javascript",
        "dashboard/charts.js"
    ),
    asset!("/assets/feed.js", "text/javascript", "dashboard/feed.js"),
    asset!(
        "/assets/format.js",
        "text/javascript",
        "dashboard/format.js"
    ),
    asset!(
        "/assets/panels.js",
        "text/javascript",
        "dashboard/panels.js"
    ),
    asset!("/assets/rules.js", "text/javascript", "dashboard/rules.js"),
    asset!("/assets/flows.js", "text/javascript", "dashboard/flows.js"),
    asset!(
        "/assets/uplot.js",
        "text/javascript",
        "uplot/uPlot.iife.min.js"
    ),
    asset!("/assets/uplot.css", "text/css", "uplot/uPlot.min.css"),
    asset!("/assets/uplot.license", "text/plain", "uplot/LICENSE"),
];

/// Whether a path may be asked for without a token: code, no data. The page itself asks for more.
pub fn is_public(path: &str) -> bool {
    path.starts_with("/assets/")
}

pub fn router() -> Router<Arc<Dashboard>> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(
            asset.path,
            get(move |headers: HeaderMap| async move { answer(asset, &headers) }),
        )
    })
}

/// Asked for again each time, but sent only if it has changed: a new version shows at once.
fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    asset.text.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [
        (header::CONTENT_TYPE, asset.kind.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag),
    ];
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, asset.text).into_response()
    }
}
