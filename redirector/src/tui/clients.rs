//! Who has most flows.

use std::{cmp::Reverse, collections::HashMap};

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Text,
    widgets::{Row, Table},
};

use super::{App, keys};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let mut counts: HashMap<_, [usize; 2]> = HashMap::new();
    for flow in &app.flows {
        counts.entry(flow.client.0).or_default()[usize::from(flow.answered)] += 1;
    }
    let note = format!("{} clients", counts.len());
    let mut clients: Vec<_> = counts
        .into_iter()
        .filter(|(client, _)| client.to_string().contains(&app.filter))
        .collect();
    clients.sort_by_key(|(client, [pending, answered])| (Reverse(pending + answered), *client));
    let number = |count: usize| Text::raw(count.to_string()).right_aligned();
    let rows = clients.into_iter().take(usize::from(area.height));
    let rows = rows.map(|(client, [pending, answered])| {
        Row::new([
            Text::raw(client.to_string()),
            number(answered),
            number(pending),
        ])
    });
    let header = Row::new([
        Text::raw("CLIENT"),
        Text::raw("ANSWERED").right_aligned(),
        Text::raw("PENDING").right_aligned(),
    ]);
    let widths = [
        Constraint::Length(40),
        Constraint::Length(9),
        Constraint::Length(9),
    ];
    let table = Table::new(rows, widths)
        .header(header.style(app.theme.quiet()))
        .block(keys::tabs(app, &note));
    frame.render_widget(table, area);
}
