//! What a reload changes, what it keeps, and what is left when it is interrupted.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

use integration::counters::{Counts, counts_of_rule, rule};
use integration::footprint::Footprint;
use integration::netns::Namespace;
use integration::redirector::Instance;
use integration::server::{Connection, Listener, connect};
use integration::topology::{LOOPBACK, Lan, SERVER};
use integration::wait;
use socket2::SockRef;

const TARGETS: [u16; 3] = [8000, 9000, 4430];

/// `lo` comes, `spare` goes, 80 changes and 443 is new.
const OLD: &str = "-i eth0 -i spare 80:8000";
const NEW: &str = "-i eth0 -i lo 80:9000 443:4430";

/// Who answers on 80 and 443.
type Answers = [Option<u16>; 2];
const OLD_ANSWERS: Answers = [Some(8000), None];
const NEW_ANSWERS: Answers = [Some(9000), Some(4430)];

#[test]
fn an_interrupted_reload_leaves_the_old_rules_or_the_new() {
    const MOST_STEPS: u32 = 100;
    let lan = Lan::new();
    lan.server.ip("link add spare up type bridge");
    let listeners = TARGETS.map(|port| Listener::bind(&lan.server, port));
    let mut instance = Instance::unloaded(&lan.server);
    let before = Footprint::of(&instance);
    for variable in ["REDIRECTOR_FAIL_AT", "REDIRECTOR_KILL_AT"] {
        let steps = (1..=MOST_STEPS).find(|step| {
            instance.run("load", OLD).success("load");
            let loaded = Footprint::of(&instance);
            let mut live = open_live(&lan, &listeners[0]);

            instance.set(variable, step);
            let reload = instance.run("reload", NEW);
            instance.unset();
            let case = format!("{variable}={step}, {reload:#?}");
            let is_old = is_old(&lan, &listeners, &case);
            match reload.code {
                Some(0) => assert!(!is_old, "a reload that changes nothing: {case}"),
                Some(code) => {
                    assert_eq!((variable, code), ("REDIRECTOR_FAIL_AT", 1), "{case}");
                    assert!(is_old, "a failure changes the rules: {case}");
                    assert_eq!(Footprint::of(&instance), loaded, "a failure leaves: {case}");
                }
                None => assert_eq!(variable, "REDIRECTOR_KILL_AT", "{case}"),
            }
            live.iter_mut().for_each(|each| each.exchange(&case));

            let again = instance.run("reload", NEW);
            assert_eq!(again.code, Some(0), "a reload after {case}: {again:#?}");
            for (from, address) in places(&lan) {
                let answers = answers(from, address, &listeners, &case);
                assert_eq!(answers, NEW_ANSWERS, "{address}, reloaded after {case}");
            }
            live.iter_mut().for_each(|each| each.exchange(&case));
            assert_interfaces(&instance, &["eth0", "lo"], &case);
            instance.run("unload", "").success(&case);
            assert_eq!(Footprint::of(&instance), before, "unloaded after {case}");
            reload.code == Some(0)
        });
        let steps = steps.unwrap_or_else(|| panic!("{variable}: no reload got through"));
        assert!(
            steps > 3,
            "{variable} is not honoured: step {steps} was never reached"
        );
    }
}

/// The first connection's flow must not be taken for the second's: both have one client port.
#[test]
fn a_connection_between_two_reloads_keeps_its_target() {
    let lan = Lan::new();
    let [blue, green] = [8000, 9000].map(|port| Listener::bind(&lan.server, port));
    let mut client_port = 20_000;
    let mut failures = Vec::new();
    for end in [End::Closed, End::Reset] {
        for (from, address) in places(&lan) {
            let instance = Instance::load(&lan.server, "-i eth0 -i lo 80:8000");
            client_port += 1;
            let to = SocketAddr::new(address, 80);
            let case = format!("{to} from {}, the first {end:?}", from.name());
            let mut first = Connection::open_from(from, client_port, to, &blue);
            first.exchange(&case);
            end_connection(first, end);

            instance.run("reload", "80:9000").success("to green");
            let mut second = Connection::open_from(from, client_port, to, &green);
            second.exchange(&case);
            instance.run("reload", "80:8000").success("back to blue");
            // One report for all places: they may fail for different reasons.
            let exchange = std::panic::AssertUnwindSafe(|| second.exchange(&case));
            if std::panic::catch_unwind(exchange).is_err() {
                failures.push(case);
            }
        }
    }
    assert_eq!(failures, Vec::<String>::new(), "live on green and killed");
}

/// What is loaded, what stays of it, and the rule (by its port) that stays.
const REMOVALS: [(&str, &str, u16); 3] = [
    ("80:8000 443:4430", "443:4430", 443),
    ("80:8000 443:8000", "443:8000", 443),
    ("80:8000 10.77.99.1:80:9000", "10.77.99.1:80:9000", 80),
];

#[test]
fn a_removed_rule_counts_on_no_other() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    for (before, after, remaining) in REMOVALS {
        let instance = load(&lan, before);
        let mut live = open_live(&lan, &listener);
        live.iter_mut().for_each(|each| each.exchange(before));
        reload(&instance, after);
        let counted = rule(&instance.stats(), "tcp", remaining).clone();
        live.iter_mut().for_each(|each| each.exchange(after));
        assert_eq!(
            rule(&instance.stats(), "tcp", remaining),
            &counted,
            "{before}, then {after}"
        );
    }
}

/// Whether the removed rule has the higher number or the lower.
#[test]
fn a_new_rule_starts_at_0_and_one_that_comes_back_goes_on() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    for (kept, removed) in [(80, 443), (443, 80)] {
        let instance = load(&lan, "80:8000 443:8000");
        for port in [80, 443] {
            let to = SocketAddr::new(SERVER.v4, port);
            Connection::open(&lan.client, to, &listener).exchange("before the reload");
        }
        wait::until("nothing more is sent", || {
            !lan.client.has_live_connections() && !lan.server.has_live_connections()
        });
        let before = [kept, removed].map(|port| counts_of_rule(&instance.stats(), "tcp", port));
        assert!(!before.contains(&Counts::default()), "{before:?}");

        reload(&instance, &format!("{kept}:8000"));
        reload(&instance, &format!("{kept}:8000 81:8000"));
        let stats = instance.stats();
        assert_eq!(counts_of_rule(&stats, "tcp", 81), Counts::default());
        assert_eq!(rule(&stats, "tcp", 81)["connections"], 0, "{stats}");
        assert_eq!(counts_of_rule(&stats, "tcp", kept), before[0]);

        reload(&instance, "80:8000 81:8000 443:8000");
        let stats = instance.stats();
        let after = [kept, removed].map(|port| counts_of_rule(&stats, "tcp", port));
        assert_eq!(after, before, "{removed} comes back");
        assert_eq!(counts_of_rule(&stats, "tcp", 81), Counts::default());
    }
}

/// Numbers of removed rules are not used again, and there are 1,024 for a small load.
#[test]
fn a_reload_without_room_is_refused_and_changes_nothing() {
    let lan = Lan::new();
    let listener = Listener::bind(&lan.server, 8000);
    let rules = |round: u16| -> String {
        let first = 20_000 + round * 400;
        let rules = (first..first + 400).map(|port| format!(" {port}:7000"));
        "-i eth0 -i lo 80:8000".to_owned() + &rules.collect::<String>()
    };
    let instance = Instance::load(&lan.server, &rules(0));
    let mut live = open_live(&lan, &listener);
    let refused = (1..10).find_map(|round| {
        let loaded = instance.status()["rules"].clone();
        let output = instance.run("reload", &rules(round));
        (output.code != Some(0)).then_some((loaded, output))
    });
    let (loaded, output) = refused.expect("a reload without room");
    assert_eq!(output.code, Some(1), "{output:#?}");
    assert!(output.stderr.contains("unload"), "{}", output.stderr);
    assert_eq!(instance.status()["rules"], loaded);
    live.iter_mut().for_each(|each| each.exchange("refused"));
    open_live(&lan, &listener);
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// By the server first, so that the client's port is free at once.
    Closed,
    Reset,
}

fn end_connection(mut connection: Connection, end: End) {
    match end {
        End::Closed => {
            let server = &connection.server;
            server.shutdown(Shutdown::Write).expect("shutdown");
            let rest = connection.client.read(&mut [0]).expect("the end");
            assert_eq!(rest, 0);
        }
        End::Reset => SockRef::from(&connection.client)
            .set_linger(Some(Duration::ZERO))
            .expect("linger"),
    }
    let Connection { client, mut server } = connection;
    drop(client);
    // The end has arrived once it can be read.
    let _ = server.read(&mut [0]);
}

fn load(lan: &Lan, rules: &str) -> Instance {
    Instance::load(&lan.server, &format!("-i eth0 -i lo {rules}"))
}

#[track_caller]
fn reload(instance: &Instance, rules: &str) {
    instance
        .run("reload", &format!("-i eth0 -i lo {rules}"))
        .success(rules);
}

fn places(lan: &Lan) -> [(&Namespace, IpAddr); 4] {
    [
        (&lan.client, SERVER.v4),
        (&lan.client, SERVER.v6),
        (&lan.server, LOOPBACK.v4),
        (&lan.server, LOOPBACK.v6),
    ]
}

/// One that has spoken and one that has not, over both families.
fn open_live(lan: &Lan, listener: &Listener) -> Vec<Connection> {
    let open = |has_spoken: bool| {
        SERVER.both(80).map(|to| {
            let mut connection = Connection::open(&lan.client, to, listener);
            if has_spoken {
                connection.exchange("before the reload");
            }
            connection
        })
    };
    [true, false].into_iter().flat_map(open).collect()
}

/// Whether the old rules are in force; `lo` may be attached under them for a while.
fn is_old(lan: &Lan, listeners: &[Listener; 3], case: &str) -> bool {
    let [v4, v6, local @ ..] =
        places(lan).map(|(from, address)| answers(from, address, listeners, case));
    assert_eq!(v4, v6, "{case}");
    assert!([OLD_ANSWERS, NEW_ANSWERS].contains(&v4), "{v4:?}, {case}");
    for local in local {
        assert!([v4, [None; 2]].contains(&local), "lo: {local:?}, {case}");
    }
    v4 == OLD_ANSWERS
}

fn answers(from: &Namespace, address: IpAddr, listeners: &[Listener; 3], case: &str) -> Answers {
    [80, 443].map(|port| {
        let to = SocketAddr::new(address, port);
        match connect(from, 0, to) {
            Ok(_connection) => Some(wait::until_some("one who answers", || {
                let index = listeners.iter().position(|each| !each.is_idle())?;
                Some(TARGETS[index])
            })),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
            Err(error) => panic!("{to} neither answers nor refuses: {error}, {case}"),
        }
    })
}

#[track_caller]
fn assert_interfaces(instance: &Instance, expected: &[&str], case: &str) {
    let status = instance.status();
    let mut names: Vec<_> = status["interfaces"]
        .as_array()
        .expect("interfaces")
        .iter()
        .filter(|interface| interface["attached"] == true)
        .filter_map(|interface| interface["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, expected, "{case}");
}
