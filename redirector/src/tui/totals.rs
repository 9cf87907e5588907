//! All rules together: rates, and their last minutes.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Sparkline,
};

use super::{App, text};
use crate::stats::{Point, Sample, Series};

const WORDS: u16 = 28;

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let theme = app.theme;
    let rows = Layout::vertical([Constraint::Length(1); 3]).split(area);
    let rate = app.sample.as_ref().ok().and_then(Sample::total);
    let rate = rate.unwrap_or_default();
    line(
        frame,
        rows[0],
        app,
        ("in ", theme.incoming(), rate.in_bytes, rate.in_packets),
        |point| point.in_bytes,
    );
    line(
        frame,
        rows[1],
        app,
        ("out", theme.outgoing(), rate.out_bytes, rate.out_packets),
        |point| point.out_bytes,
    );
    let Ok(sample) = &app.sample else { return };
    let (counters, live) = sample.snapshot.total();
    let unanswered = crate::stats::unanswered_syns(&counters);
    let resets = counters.in_resets + counters.out_resets;
    let style = if unanswered > 0 {
        theme.alarm()
    } else {
        Style::new()
    };
    let words = Line::from(vec![
        Span::raw(format!(
            "{} connections/s, {live} live, {} in all; {resets} resets, ",
            text::short(rate.connections),
            counters.connections,
        )),
        Span::styled(format!("{unanswered} SYNs unanswered"), style),
    ]);
    frame.render_widget(words, rows[2]);
}

fn line(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    (name, style, bytes, packets): (&str, Style, f64, f64),
    of: fn(&Point) -> f32,
) {
    let [words, spark] =
        Layout::horizontal([Constraint::Length(WORDS), Constraint::Min(0)]).areas(area);
    let rates = format!(
        "{:>9} {:>11}",
        text::bits(bytes) + "bit/s",
        text::short(packets) + " pkt/s"
    );
    let told = [
        Span::styled(format!("{name} "), app.theme.title()),
        Span::styled(rates, style),
    ];
    frame.render_widget(Line::from_iter(told), words);
    let series = sparkline(app.history.total(), spark.width, of, style);
    frame.render_widget(series, spark);
}

/// The newest at the right, as many as there is room for.
pub fn sparkline<'a>(
    series: &Series,
    width: u16,
    of: fn(&Point) -> f32,
    style: Style,
) -> Sparkline<'a> {
    let values = series.iter().rev().take(usize::from(width));
    // What is not known (NaN) is shown as nothing.
    let mut values: Vec<u64> = values.map(|point| of(point).max(0.0) as u64).collect();
    values.resize(usize::from(width), 0);
    values.reverse();
    Sparkline::default().data(values).style(style)
}
