//! Packets left alone, and why.

use std::cmp::Reverse;

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Text,
    widgets::{Row, Table},
};

use super::{App, keys, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut reasons = Vec::new();
    if let Ok(sample) = &app.sample {
        for (reason, packets) in &sample.snapshot.skipped {
            let rate = sample.skipped.get(reason).copied().unwrap_or_default();
            reasons.push((*reason, *packets, rate));
        }
    }
    reasons.sort_by_key(|(reason, packets, _)| (Reverse(*packets), *reason));
    let total: u64 = reasons.iter().map(|(_, packets, _)| packets).sum();
    let rows = reasons.into_iter().map(|(reason, packets, rate)| {
        Row::new([
            Text::raw(reason),
            Text::raw(packets.to_string()).right_aligned(),
            Text::raw(text::short(rate)).right_aligned(),
        ])
    });
    let header = Row::new([
        Text::raw("REASON"),
        Text::raw("PACKETS").right_aligned(),
        Text::raw("A SECOND").right_aligned(),
    ]);
    let widths = [
        Constraint::Length(16),
        Constraint::Length(14),
        Constraint::Length(10),
    ];
    let table = Table::new(rows, widths)
        .header(header.style(app.theme.quiet()))
        .block(keys::tabs(app, &format!("{total} packets")));
    frame.render_widget(table, area);
}
