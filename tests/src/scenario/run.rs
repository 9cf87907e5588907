use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use super::compare::compare;
use super::network::Network;
use super::stage::{Case, Stage};
use super::tap::Tap;
use super::wire::{Wire, normalise};
use super::{Log, Place, Scenario};
use crate::datapath::{Datapath, Redirected};
use crate::netns::Offloads;

/// Longer than the last segments of a connection take.
const SETTLE: Duration = Duration::from_secs(3);

/// What came of one case under one datapath.
pub(super) struct Take {
    pub case: Case,
    pub client: Vec<String>,
    pub server: Vec<String>,
    /// Empty where nothing is captured.
    pub wire: Vec<String>,
}

pub(super) fn run(scenario: &Scenario) -> Result<(), String> {
    remember_panics();
    let mut takes = Vec::new();
    let mut problems = Vec::new();
    for datapath in Datapath::all_under_test() {
        match guard(|| play(scenario, datapath)).and_then(|played| played) {
            Ok(played) => takes.push(played),
            Err(problem) => problems.push(format!("under {datapath:?}: {problem}")),
        }
    }
    if let [oracle, redirector] = takes.as_slice() {
        problems.extend(compare(scenario, oracle, redirector));
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.insert(0, format!("checks: {}", scenario.checks));
    Err(problems.join("\n\n"))
}

fn play(scenario: &Scenario, datapath: Datapath) -> Result<Vec<Take>, String> {
    let network = Arc::new(scenario.topology.build());
    (scenario.prepare)(&network);
    let redirected = Arc::new(match scenario.interfaces {
        Some(interfaces) => datapath.redirect_only_on(&network.server, interfaces, scenario.rules),
        None => datapath.redirect_on(&network.server, network.interfaces, scenario.rules),
    });
    let mut takes = Vec::new();
    for &offloads in scenario.offloads {
        network.offloads(offloads);
        for &family in scenario.families {
            for &place in scenario.places {
                let case = Case {
                    number: u16::try_from(takes.len()).expect("a few cases"),
                    family,
                    place,
                    offloads,
                };
                let take = take(scenario, &network, &redirected, datapath, case);
                takes.push(take.map_err(|problem| format!("{case}: {problem}"))?);
            }
        }
    }
    match network.bad_checksums() {
        count if count != 0 && !scenario.bad_checksums => {
            Err(format!("{count} packets dropped for their checksum"))
        }
        _ => Ok(takes),
    }
}

fn take(
    scenario: &Scenario,
    network: &Arc<Network>,
    redirected: &Arc<Redirected>,
    datapath: Datapath,
    case: Case,
) -> Result<Take, String> {
    let mut stage = Stage {
        client: Log::default(),
        server: Log::default(),
        network: network.clone(),
        redirected: redirected.clone(),
        datapath,
        case,
        names: network.names(),
        tap: (case.place == Place::Remote).then(|| Tap::start(network)),
    };
    guard(|| (scenario.traffic)(&stage)).map_err(|problem| {
        let transcript = |log: &Log| log.lines().join("\n    ");
        format!(
            "{problem}\n  client so far:\n    {}\n  server so far:\n    {}",
            transcript(&stage.client),
            transcript(&stage.server)
        )
    })?;
    let is_settled = settle(network);
    let frames = stage.tap.take().map(Tap::finish).unwrap_or_default();
    let Wire { mut lines, faults } = normalise(&frames, &stage.names);
    if case.offloads == Offloads::Off && !faults.is_empty() {
        return Err(format!("on the wire:\n    {}", faults.join("\n    ")));
    }
    if case.place == Place::Remote && lines.is_empty() {
        return Err("nothing was captured".to_owned());
    }
    if !is_settled {
        lines.push(format!("a connection still lives after {SETTLE:?}"));
    }
    let take = Take {
        case,
        client: stage.client.lines(),
        server: stage.server.lines(),
        wire: lines,
    };
    if env::var_os("REDIRECTOR_SHOW").is_some() {
        println!("{} under {datapath:?}, {take}", scenario.name);
    }
    Ok(take)
}

/// Waits until closed connections have said their last word.
fn settle(network: &Network) -> bool {
    let start = Instant::now();
    while network.has_live_connections() {
        if start.elapsed() > SETTLE {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
    true
}

thread_local! {
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A panic as text, and where it was.
fn guard<T>(action: impl FnOnce() -> T) -> Result<T, String> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(action));
    let place = LAST_PANIC.take().unwrap_or_default();
    outcome.map_err(|payload| format!("{}{place}", message(&*payload)))
}

/// A panic belongs to the report of its scenario; several run at once.
fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
            let place = info.location().map(|at| format!("\n  at {at}"));
            LAST_PANIC.set(place);
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}

impl fmt::Display for Take {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.case)?;
        for (part, lines) in [
            ("client", &self.client),
            ("server", &self.server),
            ("wire", &self.wire),
        ] {
            writeln!(f, "  {part}:")?;
            for line in lines {
                writeln!(f, "    {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {:?}, offloads {:?}",
            self.family, self.place, self.offloads
        )
    }
}
