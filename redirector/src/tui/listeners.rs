//! Who listens on the targets, and how full the queues are.

use std::net::SocketAddr;

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    style::Style,
    text::Text,
    widgets::{Row, Table},
};

use super::{App, keys};
use crate::{holders::Holder, stats::listeners::Listener};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let sample = app.sample.as_ref().ok();
    let listening = sample.and_then(|sample| sample.listening.as_ref());
    let note = match listening {
        Some(listening) => {
            let counters = &listening.counters;
            format!("{} overflows, {} drops", counters.overflows, counters.drops)
        }
        None => sample
            .and_then(|sample| sample.unread.clone())
            .unwrap_or_else(|| "not read".to_owned()),
    };
    let listeners = listening
        .map(|listening| &listening.listeners[..])
        .unwrap_or_default();
    let rows = listeners.iter().map(|listener| row(listener, app));
    let header = Row::new([
        Text::raw("LISTENER"),
        Text::raw("PROCESS"),
        Text::raw("WAITING").right_aligned(),
        Text::raw("BACKLOG").right_aligned(),
        Text::raw("DROPS").right_aligned(),
    ]);
    let widths = [
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(8),
    ];
    let table = Table::new(rows, widths)
        .header(header.style(app.theme.quiet()))
        .block(keys::tabs(app, &note));
    frame.render_widget(table, area);
}

fn row<'a>(listener: &Listener, app: &App) -> Row<'a> {
    let is_full = listener.depth >= listener.limit;
    let process = listener.process.as_ref();
    let number = |text: String| Text::raw(text).right_aligned();
    Row::new([
        Text::raw(SocketAddr::new(listener.address, listener.port).to_string()),
        Text::raw(process.map_or_else(|| "?".to_owned(), Holder::to_string)),
        number(listener.depth.to_string()),
        number(listener.limit.to_string()),
        number(
            listener
                .drops
                .map_or_else(|| "?".to_owned(), |drops| drops.to_string()),
        ),
    ])
    .style(if is_full {
        app.theme.alarm()
    } else {
        Style::new()
    })
}
