//! Death at any time: nothing is half-written, and the way back and the way on are open.

use std::collections::BTreeMap;
use std::path::PathBuf;

use integration::redirector::binary;
use integration::{death, ordinary_or_long};

use super::Host;
use super::application::Application;

/// What tuning may change.
#[derive(Debug, PartialEq, Eq)]
struct State {
    values: BTreeMap<&'static str, String>,
    limits: Vec<(u64, u64)>,
    /// Without the journal.
    files: BTreeMap<PathBuf, Option<String>>,
    has_journal: bool,
}

struct Scene {
    host: Host,
    application: Application,
    /// An `apply`.
    verb: String,
    before: State,
    tuned: State,
}

impl State {
    fn of(host: &Host, application: &Application) -> Self {
        let mut files = host.tree();
        files.retain(|path, _| !path.ends_with("tune.json"));
        Self {
            values: host.values(),
            limits: application.limits(),
            files,
            // It panics on what is no JSON.
            has_journal: host.journal().is_some(),
        }
    }
}

impl Scene {
    fn new(verb: &str) -> Self {
        let host = Host::new();
        host.lower();
        let application = Application::start(&host, "root root");
        let config = host.config("[tuning]\nnofile = 1500");
        let verb = format!("{verb} {config}");
        let before = State::of(&host, &application);
        host.tune(&verb, 0);
        let tuned = State::of(&host, &application);
        host.tune("revert", 0);
        assert_eq!(
            State::of(&host, &application),
            before,
            "{verb} without a death"
        );
        Self {
            host,
            application,
            verb,
            before,
            tuned,
        }
    }

    fn state(&self) -> State {
        State::of(&self.host, &self.application)
    }

    fn kill(&self, verb: &str, number: usize) -> Option<String> {
        let mut command = self
            .host
            .command_after("read -r _", &format!("tune {verb}"));
        death::before_change(&mut command, &binary(), number)
    }

    /// Each file under its name is a whole one, and the journal can be read.
    fn assert_whole(&self, case: &str) {
        let state = self.state();
        for (path, text) in &state.files {
            let is_unfinished = path.extension().is_some_and(|ending| ending == "new");
            if text.is_none() || is_unfinished {
                continue;
            }
            assert_eq!(
                self.tuned.files.get(path),
                Some(text),
                "{case}: {}",
                path.display()
            );
        }
        for (key, value) in &state.values {
            let known = [&self.before.values[key], &self.tuned.values[key]];
            assert!(known.contains(&value), "{case}: {key} is {value}");
        }
    }

    fn revert(&self, case: &str) {
        self.host.tune("revert", 0);
        assert_eq!(self.state(), self.before, "{case}");
    }

    fn apply(&self, case: &str) {
        self.host.tune(&self.verb, 0);
        assert_eq!(self.state(), self.tuned, "{case}");
    }
}

/// The two ways out of a death.
#[derive(Clone, Copy, Debug)]
enum Then {
    Revert,
    Apply,
}

/// One of them, or both in the long run.
fn ways_out(number: usize) -> &'static [Then] {
    const BOTH: &[Then] = &[Then::Revert, Then::Apply];
    match ordinary_or_long(1, 2) {
        1 => &BOTH[number % 2..][..1],
        _ => BOTH,
    }
}

/// Kills it before each of its changes, and says how many those are.
fn deaths(scene: &Scene, verb: &str, prepare: impl Fn()) -> usize {
    for number in 0.. {
        for then in ways_out(number) {
            prepare();
            let Some(call) = scene.kill(verb, number) else {
                return number;
            };
            let case =
                format!("{verb} killed before change {number}, system call {call}, then {then:?}");
            scene.assert_whole(&case);
            match then {
                Then::Revert => {}
                Then::Apply => scene.apply(&case),
            }
            scene.revert(&case);
        }
    }
    unreachable!("it has an end")
}

#[test]
fn apply_may_die_at_any_time() {
    let scene = Scene::new("apply");
    let changes = deaths(&scene, &scene.verb, || {});
    assert!(changes > 20, "{changes}");
}

#[test]
fn apply_permanent_may_die_at_any_time() {
    let scene = Scene::new("apply --permanent --unit web");
    let changes = deaths(&scene, &scene.verb, || {});
    assert!(changes > 50, "{changes}");
}

#[test]
fn revert_may_die_at_any_time() {
    let scene = Scene::new("apply --permanent --unit web");
    let changes = deaths(&scene, "revert", || scene.apply("before"));
    assert!(changes > 20, "{changes}");
}
