//! What keys do, and the lines that say so.

use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Borders},
};

use super::{App, Pane};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Quit,
}

pub const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("space", "pause, go on"),
    ("s", "sort by the next column"),
    ("S", "turn the order round"),
    ("/", "show what has a text; Esc: everything"),
    ("Tab", "the next pane below"),
    ("↑ ↓", "scroll the rules"),
    ("PgUp PgDn", "by a page; Home and End"),
    ("?", "this help"),
];

/// Keeps sums of it in range.
const END: usize = usize::MAX / 2;

pub fn press(app: &mut App, key: KeyEvent) -> Then {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Then::Quit;
    }
    if app.typing {
        type_filter(app, key.code);
        return Then::GoOn;
    }
    let page = app.page.max(1);
    match key.code {
        KeyCode::Char('q') => return Then::Quit,
        KeyCode::Char('?') => app.help = !app.help,
        KeyCode::Esc if app.help => app.help = false,
        KeyCode::Esc => app.filter.clear(),
        KeyCode::Char(' ') => app.paused = !app.paused,
        KeyCode::Char('/') => app.typing = true,
        KeyCode::Char('s') => (app.sort, app.offset) = (app.sort.next(), 0),
        KeyCode::Char('S') => (app.reverse, app.offset) = (!app.reverse, 0),
        KeyCode::Tab => app.pane = app.pane.next(),
        KeyCode::BackTab => app.pane = app.pane.previous(),
        // Drawing holds it to the last page.
        KeyCode::Down | KeyCode::Char('j') => app.offset = (app.offset + 1).min(END),
        KeyCode::Up | KeyCode::Char('k') => app.offset = app.offset.saturating_sub(1),
        KeyCode::PageDown => app.offset = (app.offset + page).min(END),
        KeyCode::PageUp => app.offset = app.offset.saturating_sub(page),
        KeyCode::Home => app.offset = 0,
        KeyCode::End => app.offset = END,
        _ => {}
    }
    Then::GoOn
}

fn type_filter(app: &mut App, key: KeyCode) {
    match key {
        KeyCode::Enter => app.typing = false,
        KeyCode::Esc => {
            app.filter.clear();
            app.typing = false;
        }
        KeyCode::Backspace => _ = app.filter.pop(),
        KeyCode::Char(letter) if app.filter.len() < 40 => app.filter.push(letter),
        _ => {}
    }
}

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let keys = [
        ("q", "quit"),
        ("space", if app.paused { "go on" } else { "pause" }),
        ("s", "sort"),
        ("S", "turn"),
        ("/", "find"),
        ("Tab", "pane"),
        ("?", "help"),
    ];
    let words = keys.into_iter().flat_map(|(key, what)| {
        let key = Span::styled(format!(" {key} "), app.theme.bar());
        [key, Span::raw(format!(" {what} "))]
    });
    frame.render_widget(Line::from_iter(words), area);
}

/// The frame of the pane below, with the names of all.
pub fn tabs<'a>(app: &App, note: &str) -> Block<'a> {
    let names = Pane::ALL.into_iter().flat_map(|pane| {
        let is_open = pane == app.pane;
        let style = if is_open {
            app.theme.bar()
        } else {
            app.theme.quiet()
        };
        [
            Span::styled(format!(" {} ", pane.name()), style),
            Span::raw(" "),
        ]
    });
    let note = Line::styled(format!(" {note} "), app.theme.quiet()).right_aligned();
    Block::new()
        .borders(Borders::TOP)
        .title(Line::from_iter(names))
        .title(note)
}
