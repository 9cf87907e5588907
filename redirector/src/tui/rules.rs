//! A line a rule. Only those in sight are made.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Text},
    widgets::{Row, Table},
};

use super::{App, text, totals};
use crate::stats::{Point, Rate, RuleStats};

struct Column {
    name: &'static str,
    width: u16,
    of: fn(&RuleStats, &Rate) -> String,
}

/// The first ones fit into 80 cells; the others come as there is room.
const COLUMNS: [Column; 8] = [
    column("IN BIT/S", 8, |_, rate| text::bits(rate.in_bytes)),
    column("OUT BIT/S", 9, |_, rate| text::bits(rate.out_bytes)),
    column("PKT/S", 6, |_, rate| text::short(rate.packets())),
    column("CONN/S", 6, |_, rate| text::short(rate.connections)),
    column("LIVE", 6, |rule, _| text::short(rule.live as f64)),
    column("CONNECTIONS", 11, |rule, _| {
        rule.counters.connections.to_string()
    }),
    column("UNANSWERED", 10, |rule, _| {
        rule.unanswered_syns().to_string()
    }),
    column("RESETS", 8, |rule, _| {
        (rule.counters.in_resets + rule.counters.out_resets).to_string()
    }),
];
const NAME: u16 = 20;
const SPARK: u16 = 14;

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &mut App) {
    app.page = usize::from(area.height.saturating_sub(1));
    let count = app.rules().len();
    app.offset = app.offset.min(count.saturating_sub(app.page));
    let app = &*app;
    let rules = app.rules();
    let visible: Vec<_> = rules.iter().skip(app.offset).take(app.page).collect();
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(SPARK)]).areas(area);
    table(frame, left, app, &visible);
    sparks(frame, right, app, &visible);
}

fn table(frame: &mut Frame<'_>, area: Rect, app: &App, rules: &[&(&RuleStats, Rate)]) {
    let columns = fitting(area.width);
    let header = ["RULE"]
        .into_iter()
        .chain(columns.iter().map(|column| column.name));
    let header = Row::new(
        header
            .enumerate()
            .map(|(index, name)| cell(index, name.to_owned())),
    );
    let rows = rules.iter().map(|(rule, rate)| {
        let cells = columns.iter().map(|column| (column.of)(rule, rate));
        let cells = [rule.rule.to_string()].into_iter().chain(cells);
        Row::new(cells.enumerate().map(|(index, text)| cell(index, text)))
    });
    let widths = columns
        .iter()
        .map(|column| Constraint::Length(column.width));
    let widths = [Constraint::Min(NAME)].into_iter().chain(widths);
    let table = Table::new(rows, widths).header(header.style(app.theme.bar()));
    frame.render_widget(table, area);
}

/// Below what they are sorted by.
fn sparks(frame: &mut Frame<'_>, area: Rect, app: &App, rules: &[&(&RuleStats, Rate)]) {
    let order = if app.reverse { '↑' } else { '↓' };
    let title = Line::raw(format!(" {order} {}", app.sort.name())).style(app.theme.bar());
    let mut places = area.rows();
    if let Some(heading) = places.next() {
        frame.render_widget(title, heading);
    }
    for (place, (rule, _)) in places.zip(rules) {
        let Some(series) = app.history.rule(&rule.rule) else {
            continue;
        };
        let [_, place] =
            Layout::horizontal([Constraint::Length(2), Constraint::Min(0)]).areas(place);
        let style = app.theme.incoming();
        let spark = totals::sparkline(series, place.width, Point::bytes, style);
        frame.render_widget(spark, place);
    }
}

fn fitting(width: u16) -> &'static [Column] {
    let mut room = width.saturating_sub(NAME);
    let count = COLUMNS.iter().take_while(|column| {
        let fits = room > column.width;
        room = room.saturating_sub(column.width + 1);
        fits
    });
    &COLUMNS[..count.count()]
}

const fn column(name: &'static str, width: u16, of: fn(&RuleStats, &Rate) -> String) -> Column {
    Column { name, width, of }
}

fn cell<'a>(index: usize, text: String) -> Text<'a> {
    let text = Text::raw(text);
    if index == 0 {
        text
    } else {
        text.right_aligned()
    }
}
