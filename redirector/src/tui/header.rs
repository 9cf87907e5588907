//! Which instance, and whether it is there.

use std::time::SystemTime;

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{App, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let theme = app.theme;
    let mut words = vec![
        Span::styled("redirector", theme.title()),
        Span::raw(format!(" {}  ", app.name)),
    ];
    if app.paused {
        words.extend([Span::styled(" paused ", theme.bar()), Span::raw("  ")]);
    }
    if app.typing || !app.filter.is_empty() {
        let cursor = if app.typing { "_" } else { "" };
        words.push(Span::styled(
            format!("/{}{cursor}  ", app.filter),
            theme.title(),
        ));
    }
    match &app.sample {
        Ok(sample) => {
            let age = SystemTime::now().duration_since(sample.snapshot.since);
            let age = text::seconds(age.unwrap_or_default().as_secs().max(1) as f64);
            let rules = sample.snapshot.rules.len();
            words.push(Span::raw(format!("loaded {age} ago, {rules} rules")));
        }
        Err(reason) => words.push(Span::styled(reason.clone(), theme.alarm())),
    }
    frame.render_widget(Line::from(words), area);
}
