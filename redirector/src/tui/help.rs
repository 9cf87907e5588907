//! Which key does what.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Clear, Padding, Paragraph},
};

use super::{App, keys::KEYS};

pub fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let height = Constraint::Length(KEYS.len() as u16 + 4);
    let [row] = Layout::vertical([height]).flex(Flex::Center).areas(area);
    let width = Constraint::Length(56);
    let [place] = Layout::horizontal([width]).flex(Flex::Center).areas(row);
    let lines = KEYS.map(|(key, what)| {
        let key = Span::styled(format!("{key:<11}"), app.theme.title());
        Line::from_iter([key, Span::raw(what)])
    });
    let block = Block::bordered()
        .title(" redirector top ")
        .padding(Padding::symmetric(2, 1));
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines.to_vec()).block(block), place);
}
