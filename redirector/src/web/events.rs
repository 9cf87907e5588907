//! Live events. Each client has its place in one bounded channel: who is slow misses some samples, who takes
//! nothing is cut off by the connection's own limit, and nobody waits for another.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;

use super::{Dashboard, feed::Message};

pub async fn stream(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let Some(subscription) = dashboard.feed.subscribe() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    };
    let events = stream::unfold(subscription, |mut subscription| async move {
        let message = subscription.next().await?;
        Some((Ok::<_, Infallible>(event(&message)), subscription))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn event(message: &Message) -> Event {
    Event::default().event(message.name).data(&*message.data)
}
