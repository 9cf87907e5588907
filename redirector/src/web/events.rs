//! Live events. Each client has its place in one bounded channel: who is slow misses some, who takes
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
use tokio::sync::{OwnedSemaphorePermit, broadcast::error::RecvError};

use super::{Dashboard, feed::Message};

pub async fn stream(State(dashboard): State<Arc<Dashboard>>) -> Response {
    let Some(subscription) = dashboard.feed.subscribe() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    };
    let (earlier, messages, place) = subscription;
    let events = stream::unfold(
        (earlier.into_iter(), messages, place),
        |(mut earlier, mut messages, place)| async move {
            let _: &OwnedSemaphorePermit = &place;
            let message = match earlier.next() {
                Some(message) => message,
                None => loop {
                    match messages.recv().await {
                        Ok(message) => break message,
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return None,
                    }
                },
            };
            Some((
                Ok::<_, Infallible>(event(&message)),
                (earlier, messages, place),
            ))
        },
    );
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn event(message: &Message) -> Event {
    Event::default().event(message.name).data(&*message.data)
}
