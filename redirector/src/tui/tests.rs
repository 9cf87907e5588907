//! What is on the screen, at sizes that people have.

use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::*;
use crate::stats::{Sample, fixtures};

fn screen(app: &mut App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app)).unwrap();
    terminal.backend().to_string()
}

/// After a second in which these rules had so many packets of 100 bytes.
fn app(rules: &[(u16, u64)]) -> App {
    let mut app = App::new("default".parse().unwrap());
    let silent: Vec<_> = rules.iter().map(|(from, _)| (*from, 0)).collect();
    let before = fixtures::snapshot(0, &silent, 0);
    let sample = Sample::new(fixtures::snapshot(1, rules, 7), Some(&before));
    app.take(reader::Update {
        sample: Ok(sample),
        flows: Some(Vec::new()),
    });
    app
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\t' => KeyCode::Tab,
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            key => KeyCode::Char(key),
        };
        let then = keys::press(app, KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(then, keys::Then::GoOn);
    }
}

fn rules_on(screen: &str) -> Vec<&str> {
    let lines = screen.lines();
    lines.filter(|line| line.contains(":60000/tcp")).collect()
}

#[test]
fn eighty_by_twenty_four_has_everything() {
    let screen = screen(&mut app(&[(80, 1000), (443, 10)]), 80, 24);
    for text in [
        "redirector default",
        "2 rules",
        "808kbit/s",
        "80:60000/tcp",
        "443:60000/tcp",
        "LIVE",
        "traffic",
        "Flows",
        "Left alone",
        "quit",
        "help",
    ] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
}

#[test]
fn any_size_is_drawn() {
    for (width, height) in [(1, 1), (10, 3), (40, 10), (80, 24), (250, 80)] {
        let mut app = app(&[(80, 1000)]);
        for _ in Pane::ALL {
            screen(&mut app, width, height);
            press(&mut app, "\t");
        }
        press(&mut app, "?");
        screen(&mut app, width, height);
    }
}

#[test]
fn keys_sort_reverse_filter_and_pause() {
    let mut app = app(&[(81, 10), (80, 1000)]);
    let first = |app: &mut App| rules_on(&screen(app, 80, 24))[0].to_owned();
    assert!(first(&mut app).contains("80:60000"));
    press(&mut app, "S");
    assert!(first(&mut app).contains("81:60000"));
    press(&mut app, "S/81\n");
    assert_eq!(rules_on(&screen(&mut app, 80, 24)).len(), 1);
    press(&mut app, "\x1b");
    assert_eq!(rules_on(&screen(&mut app, 80, 24)).len(), 2);
    press(&mut app, "sssss");
    assert!(first(&mut app).contains("81:60000"), "sorted by rule");
    press(&mut app, " ");
    let gone = reader::Update {
        sample: Err("gone".to_owned()),
        flows: None,
    };
    assert!(!app.take(gone));
    assert!(screen(&mut app, 80, 24).contains("paused"));
    let quit = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    assert_eq!(keys::press(&mut app, quit), keys::Then::Quit);
}

#[test]
fn says_that_nothing_is_loaded_and_recovers() {
    let mut app = app(&[(80, 1000)]);
    app.take(reader::Update {
        sample: Err("instance \"default\" is not loaded".to_owned()),
        flows: None,
    });
    let gone = screen(&mut app, 80, 24);
    assert!(gone.contains("is not loaded"), "{gone}");
    assert!(rules_on(&gone).is_empty(), "{gone}");
    app.take(reader::Update {
        sample: Ok(Sample::new(fixtures::snapshot(9, &[(80, 1)], 0), None)),
        flows: None,
    });
    assert_eq!(rules_on(&screen(&mut app, 80, 24)).len(), 1);
}

#[test]
fn ten_thousand_rules_scroll_to_the_end() {
    let rules: Vec<_> = (1000..11_000).map(|from| (from, 1)).collect();
    let mut app = app(&rules);
    screen(&mut app, 80, 24);
    keys::press(&mut app, KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let end = screen(&mut app, 80, 24);
    assert!(end.contains("10999:60000"), "{end}");
}
