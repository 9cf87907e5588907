//! How long answers take, and how large packets are.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::Sparkline,
};

use super::{App, keys, text};
use crate::stats::{Bucket, Histogram};

type Unit = fn(f64) -> String;

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let block = keys::tabs(app, "since the load");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Ok(sample) = &app.sample else { return };
    let histograms = &sample.snapshot.histograms;
    let shown: [(&str, &Histogram, Unit); 3] = [
        ("SYN to SYN-ACK", &histograms.syn_ack_delay, text::seconds),
        ("SYN-ACK to ACK", &histograms.ack_delay, text::seconds),
        ("packet size", &histograms.packet_size, |bytes| {
            format!("{bytes}B")
        }),
    ];
    let places: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3])
        .spacing(2)
        .areas(inner);
    for (place, (name, histogram, unit)) in places.into_iter().zip(shown) {
        one(frame, place, app, name, histogram, unit);
    }
}

fn one(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    name: &str,
    histogram: &Histogram,
    unit: Unit,
) {
    let [title, bars, axis, quantiles] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Line::styled(name, app.theme.title()), title);
    let used = used(&histogram.buckets);
    if used.is_empty() {
        frame.render_widget(Line::styled("nothing yet", app.theme.quiet()), bars);
        return;
    }
    let width = (usize::from(area.width) / used.len()).clamp(1, 4);
    let values = used
        .iter()
        .flat_map(|bucket| std::iter::repeat_n(bucket.count, width));
    let values: Vec<u64> = values.collect();
    let style = app.theme.incoming();
    frame.render_widget(Sparkline::default().data(values).style(style), bars);
    let range = format!(
        "≤{} … ≤{}",
        bound(used.first(), unit),
        bound(used.last(), unit)
    );
    frame.render_widget(Line::styled(range, app.theme.quiet()), axis);
    let [half, most] = [0.5, 0.99].map(|share| bound(quantile(histogram, share), unit));
    frame.render_widget(Line::raw(format!("half ≤{half}, 99% ≤{most}")), quantiles);
}

/// Without the empty buckets at both ends.
fn used(buckets: &[Bucket]) -> &[Bucket] {
    let first = buckets.iter().position(|bucket| bucket.count > 0);
    let last = buckets.iter().rposition(|bucket| bucket.count > 0);
    first
        .zip(last)
        .map_or(&[], |(first, last)| &buckets[first..=last])
}

/// The bucket that has it.
fn quantile(histogram: &Histogram, share: f64) -> Option<&Bucket> {
    let wanted = histogram.count() as f64 * share;
    let mut seen = 0;
    histogram.buckets.iter().find(|bucket| {
        seen += bucket.count;
        seen as f64 >= wanted
    })
}

fn bound(bucket: Option<&Bucket>, unit: Unit) -> String {
    let le = bucket.and_then(|bucket| bucket.le);
    le.map_or_else(|| "more".to_owned(), unit)
}
