//! `redirector top`: one widget a file. What is drawn is the [`App`]'s, which a thread keeps fed.

mod app;
mod clients;
mod flows;
mod header;
mod help;
mod histograms;
mod keys;
mod listeners;
mod reader;
mod rules;
mod skipped;
mod text;
mod theme;
mod totals;

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
};
use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyEventKind},
    layout::{Constraint, Layout, Rect},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use self::{
    app::{App, Pane},
    reader::Reader,
};
use crate::config::Name;

/// How long a signal or a sample may wait to be seen.
const LOOK_UP_EVERY_MS: u8 = 100;

/// Until `q`, or a signal; the terminal is then as it was, also after a panic.
pub fn run(name: Name, interval: Duration) -> io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // The second one ends it wherever it is.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    let reader = Reader::start(name.clone(), interval);
    let mut terminal = ratatui::try_init()?;
    let ended = watch(&mut terminal, App::new(name), &reader, &stop);
    ratatui::try_restore()?;
    ended
}

fn watch(
    terminal: &mut DefaultTerminal,
    mut app: App,
    reader: &Reader,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut changed = true;
    while !stop.load(Ordering::Relaxed) {
        while let Some(update) = reader.update() {
            changed |= app.take(update);
        }
        if changed {
            terminal.draw(|frame| draw(frame, &mut app))?;
        }
        changed = false;
        if !wait_for_terminal()? {
            return Ok(());
        }
        // All there are: crossterm has read them, and the terminal has no more to say.
        while !stop.load(Ordering::Relaxed) && event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if keys::press(&mut app, key) == keys::Then::Quit {
                        return Ok(());
                    }
                    reader.want_flows(app.pane.needs_flows());
                    changed = true;
                }
                Event::Resize(..) => changed = true,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether there still is a terminal, after a key or a while. crossterm would ask one that has gone for ever.
fn wait_for_terminal() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, LOOK_UP_EVERY_MS) {
        // A signal: a new size, or the end.
        Err(Errno::EINTR) => return Ok(true),
        result => result?,
    };
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    Ok(!fds[0].revents().is_some_and(|seen| seen.intersects(gone)))
}

fn draw(frame: &mut Frame<'_>, app: &mut App) {
    app::panic_on_request();
    let lower = match frame.area().height {
        ..=15 => 0,
        16..=30 => 9,
        height => height / 3,
    };
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Min(3),
        Constraint::Length(lower),
        Constraint::Length(1),
    ])
    .split(frame.area());
    header::draw(frame, areas[0], app);
    totals::draw(frame, areas[1], app);
    rules::draw(frame, areas[2], app);
    if lower > 0 {
        pane(frame, areas[3], app);
    }
    keys::draw(frame, areas[4], app);
    if app.help {
        help::draw(frame, frame.area(), app);
    }
}

fn pane(frame: &mut Frame<'_>, area: Rect, app: &App) {
    match app.pane {
        Pane::Flows => flows::draw(frame, area, app),
        Pane::Clients => clients::draw(frame, area, app),
        Pane::Listeners => listeners::draw(frame, area, app),
        Pane::Skipped => skipped::draw(frame, area, app),
        Pane::Histograms => histograms::draw(frame, area, app),
    }
}

#[cfg(test)]
mod tests;
