//! Connections, the youngest first.

use std::net::SocketAddr;

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    widgets::{Row, Table},
};

use super::{App, keys, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let flows = app.flows.iter().rev().filter(|flow| {
        let has_port = |port: u16| port.to_string() == app.filter;
        app.filter.is_empty()
            || flow.client.0.to_string().contains(&app.filter)
            || has_port(flow.from)
            || has_port(flow.to)
    });
    let rows = flows.take(usize::from(area.height)).map(|flow| {
        let state = if flow.answered { "answered" } else { "pending" };
        Row::new([
            flow.protocol.to_string(),
            SocketAddr::from(flow.client).to_string(),
            SocketAddr::from((flow.address, flow.from)).to_string(),
            flow.to.to_string(),
            state.to_owned(),
            text::seconds(flow.age.as_secs_f64()),
        ])
    });
    let widths = [
        Constraint::Length(5),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(7),
    ];
    let header = Row::new(["PROTO", "CLIENT", "ADDRESS", "TO", "STATE", "AGE"]);
    let table = Table::new(rows, widths)
        .header(header.style(app.theme.quiet()))
        .block(keys::tabs(app, &format!("{} flows", app.flows.len())));
    frame.render_widget(table, area);
}
