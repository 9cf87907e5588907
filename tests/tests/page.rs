//! The dashboard's page in headless Chromium.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use integration::browser::{Browser, Scheme};
use integration::dashboard::Dashboard;
use integration::many;
use integration::redirector::Instance;
use integration::server::{Connection, Listener};
use integration::topology::{LOOPBACK, Lan, SERVER};

const RULES: &str = "-i eth0 -i lo 80:8000 443:4430 53:5353/udp";

/// What the page says; not there before it has come.
const LOADED: &str = "document.getElementById('state')?.innerText === 'loaded'";

/// Packets of a rule in both directions, as its row has them.
const PACKETS: &str = "Number(document.querySelector('tr[data-label=\"80:8000/tcp\"]')?.children[8].innerText.replaceAll(',', '') || 0)";

fn shot(name: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard");
    fs::create_dir_all(&directory).expect("a directory");
    directory.join(name)
}

#[test]
fn the_page_moves_with_the_traffic() {
    let lan = Lan::new();
    let [web, tls] = [8000, 4430].map(|port| Listener::bind(&lan.server, port));
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    browser.size(1280, 1000, Scheme::Light);
    browser.until("loaded", LOADED);
    assert_eq!(browser.text("#name"), instance.name());

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round: u32 = 0;
            while !stop.load(Ordering::Relaxed) {
                for (listener, port, every) in [(&web, 80, 1), (&tls, 443, 3)] {
                    if round.is_multiple_of(every) {
                        for (from, address) in
                            [(&lan.client, SERVER.v4), (&lan.server, LOOPBACK.v6)]
                        {
                            let to = SocketAddr::new(address, port);
                            Connection::open(from, to, listener).exchange("traffic");
                        }
                    }
                }
                round += 1;
                thread::sleep(std::time::Duration::from_millis(10));
            }
        });
        let looked = thread::Builder::new().spawn_scoped(scope, || {
            let first = browser.value(PACKETS).as_f64().expect("a number");
            browser.until("more packets", &format!("{PACKETS} > {first}"));
            let second = browser.value(PACKETS).as_f64().expect("a number");
            browser.until("and more", &format!("{PACKETS} > {second}"));
            browser.until(
                "a rate",
                "document.querySelector('.tile .value').innerText.includes('bit/s')",
            );
            browser.until(
                "drawn lines",
                "document.querySelectorAll('.chart canvas').length === 2",
            );
            browser.until(
                "a while of it",
                "document.querySelectorAll('#histograms .bars i.some').length > 3",
            );
            for (width, height) in [(1280, 1000), (390, 844)] {
                for scheme in [Scheme::Light, Scheme::Dark] {
                    browser.size(width, height, scheme);
                    let at = browser.value("document.body.dataset.at").to_string();
                    browser.until(
                        "the next sample",
                        &format!("document.body.dataset.at !== {at}"),
                    );
                    let too_wide =
                        browser.value("document.documentElement.scrollWidth - innerWidth");
                    assert!(too_wide.as_i64() <= Some(0), "{width}: {too_wide} too wide");
                    let name = format!("{width}-{scheme:?}.png").to_lowercase();
                    browser.screenshot(&shot(&name));
                }
            }
        });
        let looked = looked.expect("a thread").join();
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = looked {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn an_unload_is_shown_and_a_load_brings_it_back() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    browser.until("loaded", LOADED);
    instance.run("unload", "").success("unload");
    browser.until(
        "not loaded",
        "document.getElementById('state')?.innerText === 'not loaded'",
    );
    let reason = browser.text("#reason");
    assert!(reason.contains("redirector load"), "{reason}");
    instance.run("load", "-i eth0 81:8000").success("load");
    browser.until("loaded again", LOADED);
    browser.until(
        "the new rule",
        "document.querySelector('tr[data-label=\"81:8000/tcp\"]')",
    );
    browser.until(
        "no old rule",
        "!document.querySelector('tr[data-label=\"80:8000/tcp\"]')",
    );
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

/// The dashboard itself goes and comes back; the page does too.
#[test]
fn the_page_survives_its_server() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let mut first = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &first.url("/"));
    browser.until("loaded", LOADED);
    first.process.interrupt();
    browser.until(
        "lost",
        "document.getElementById('state')?.innerText.includes('out of reach')",
    );
    let listen = format!("--listen {}", first.address);
    let _second = Dashboard::of(&instance, &mut instance.command("dashboard", &listen));
    browser.until("loaded", LOADED);
}

#[test]
fn keyboard_and_screen_reader_find_their_way() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    browser.size(1280, 1000, Scheme::Light);
    browser.until("loaded", LOADED);
    for (what, expression) in [
        ("a language", "document.documentElement.lang === 'en'"),
        (
            "one first heading",
            "document.querySelectorAll('h1').length === 1",
        ),
        (
            "a status that is announced",
            "document.getElementById('state').role === 'status'",
        ),
        (
            "charts in words",
            "[...document.querySelectorAll('.chart')].every((chart) => chart.role === 'img' && chart.ariaLabel.includes('now'))",
        ),
        (
            "tables for the charts",
            "document.querySelectorAll('.card details table, .card details .scroll').length >= 5",
        ),
        (
            "labels",
            "[...document.querySelectorAll('input')].every((input) => input.labels.length > 0)",
        ),
        (
            "names of buttons",
            "[...document.querySelectorAll('button')].every((button) => button.innerText.trim())",
        ),
        (
            "column heads",
            "[...document.querySelectorAll('thead th')].every((cell) => cell.scope === 'col')",
        ),
    ] {
        browser.until(what, expression);
    }
    // Everything that can be pressed is reached by Tab, and the sort works by Enter.
    let mut reached = Vec::new();
    for _ in 0..40 {
        browser.press("Tab");
        let at = browser.value("(document.activeElement.id || document.activeElement.innerText || document.activeElement.name || document.activeElement.className).trim()");
        reached.push(at.as_str().unwrap_or_default().to_owned());
        if reached.last().is_some_and(|at| at == "Live") {
            break;
        }
    }
    for place in ["pause", "filter", "Live"] {
        assert!(
            reached.iter().any(|at| at == place),
            "{place} in {reached:?}"
        );
    }
    browser.press("Enter");
    browser.until(
        "sorted",
        "document.querySelector('th[aria-sort=descending]')?.innerText.startsWith('Live')",
    );
    browser.value("document.querySelector('#traffic details summary').click()");
    browser.until(
        "numbers by minute",
        "document.querySelectorAll('#traffic details tbody tr').length > 0",
    );
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn a_search_finds_any_of_ten_thousand_rules() {
    let lan = Lan::new();
    let instance = many::load(&lan.server);
    let dashboard = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    browser.size(1280, 1000, Scheme::Dark);
    browser.until(
        "the few busiest",
        "document.getElementById('shown')?.innerText.includes('10,000')",
    );
    let rows = browser.value("document.querySelectorAll('#rule-table tbody tr').length");
    assert!(rows.as_u64() <= Some(32), "{rows}");
    browser.value("(() => { const it = document.getElementById('filter'); it.value = '7777:'; it.dispatchEvent(new Event('input')); })()");
    browser.until(
        "the rule",
        "document.querySelector('tr[data-label=\"7777:27777/tcp\"]')",
    );
    // The page still answers.
    let at = browser.value("document.body.dataset.at").to_string();
    browser.until(
        "the next sample",
        &format!("document.body.dataset.at !== {at}"),
    );
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

/// Its charts go on at once, not when the old time comes round again.
#[test]
fn a_clock_that_is_set_back_stops_no_chart() {
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let dashboard = Dashboard::start(&instance);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    // Its own feed has begun.
    browser.until("a sample", "document.body?.dataset.at");
    let times = browser.value(
        "(async () => {
            const { Feed } = await import('/assets/feed.js');
            let source;
            window.EventSource = class extends EventTarget { constructor() { super(); source = this; } };
            const past = (at) => ({ at, rules: [], total: new Feed().total });
            let history = past([]);
            window.fetch = async () => ({ ok: true, json: async () => history });
            const feed = new Feed();
            feed.start();
            source.dispatchEvent(new Event('open'));
            const tell = async (at) => {
                source.dispatchEvent(new MessageEvent('sample', { data: JSON.stringify({ at, loaded: false }) }));
                await new Promise((resolve) => setTimeout(resolve));
            };
            for (const at of [5000, 5001]) await tell(at);
            history = past([1000, 1001, 1002]);
            for (const at of [1002, 1003]) await tell(at);
            return feed.at.join();
        })()",
    );
    assert_eq!(times, "1000,1001,1002,1003");
}

#[test]
fn a_token_is_asked_for_in_the_browser() {
    const SECRET: &str = "correct-horse-battery-staple";
    let lan = Lan::new();
    let instance = Instance::load(&lan.server, RULES);
    let mut command = instance.command("dashboard", "--listen 127.0.0.1:0");
    command.env("REDIRECTOR_TOKEN", SECRET);
    let dashboard = Dashboard::of(&instance, &mut command);
    let mut browser = Browser::open(&lan.server, &dashboard.url("/"));
    browser.size(1280, 800, Scheme::Light);
    let log_in = |token: &str| {
        format!(
            "document.getElementById('token').value = {token:?}; document.querySelector('form').requestSubmit()"
        )
    };
    browser.until("a form", "document.getElementById('token')");
    browser.value(&log_in("wrong"));
    browser.until(
        "no",
        "document.querySelector('[role=alert]')?.innerText.includes('not the token')",
    );
    browser.screenshot(&shot("login.png"));
    browser.value(&log_in(SECRET));
    browser.until("loaded", LOADED);
}
