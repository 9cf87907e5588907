use std::path::Path;

use super::*;
use crate::config::Resolved;

fn network(names: &[&str]) -> Network {
    Network {
        interfaces: (1..)
            .zip(names)
            .map(|(index, name)| Interface {
                name: (*name).to_owned(),
                index,
            })
            .collect(),
        default_route: None,
    }
}

fn draft(interfaces: &[&str]) -> Draft {
    let rules = ["80:8000".parse().unwrap()];
    let names: Vec<_> = interfaces.iter().map(|name| (*name).to_owned()).collect();
    Draft::new(&rules, None).unwrap().interfaces(&names)
}

fn file(text: &str) -> Draft {
    Draft::parse(Path::new("f.toml"), text.to_owned()).unwrap()
}

fn interfaces(resolved: &Resolved) -> Vec<&str> {
    let interfaces = resolved.config.interfaces.iter();
    interfaces.map(|each| each.name.as_str()).collect()
}

fn wanted(resolved: &Resolved) -> Vec<&str> {
    let wanted = resolved.config.wanted.iter();
    wanted.map(Selector::as_str).collect()
}

fn notices(resolved: &Resolved) -> Vec<String> {
    resolved.notices.iter().map(Notice::to_string).collect()
}

fn first_line(error: &Error) -> String {
    error.to_string().lines().next().unwrap().to_owned()
}

#[test]
fn a_load_takes_what_a_pattern_matches_then() {
    let host = network(&["lo", "eth0", "wg0", "eth1"]);
    let resolved = draft(&["eth1", "eth*", "lo"]).lower(&host).unwrap();
    assert_eq!(interfaces(&resolved), ["eth1", "eth0", "lo"]);
    assert_eq!(wanted(&resolved), [""; 0]);
    let all = draft(&["*"]).lower(&host).unwrap();
    assert_eq!(interfaces(&all), ["lo", "eth0", "wg0", "eth1"]);
    assert_eq!(
        draft(&["tun*"]).lower(&host).unwrap_err().to_string(),
        "no interface matches tun* (there are: lo, eth0, wg0, eth1); `redirector run` waits for one, \
         `load` does not"
    );
}

#[test]
fn a_run_waits_for_what_is_not_there() {
    let wait = |names: &[&str], host: &[&str]| draft(names).lower_awaiting(&network(host)).unwrap();
    let resolved = wait(&["eth0", "eth*", "wg*"], &["lo", "eth1"]);
    assert_eq!(interfaces(&resolved), ["eth1"]);
    assert_eq!(wanted(&resolved), ["eth0", "eth*", "wg*"]);
    assert_eq!(
        notices(&resolved),
        [
            "eth0 does not exist: waiting for it (there are: lo, eth1)",
            "no interface matches wg*: waiting for one (there are: lo, eth1)",
        ]
    );
    // Nothing was named, and nothing tells what else could be meant.
    let resolved = wait(&[], &["lo"]);
    assert_eq!(interfaces(&resolved), ["lo"]);
    assert_eq!(wanted(&resolved), ["eth0", "lo"]);
}

#[test]
fn the_default_route_is_asked_once() {
    let before = Network {
        default_route: Some("wlan0".to_owned()),
        ..network(&["lo", "wlan0"])
    };
    let resolved = draft(&[]).lower_awaiting(&before).unwrap();
    let settled = draft(&[]).keep_interfaces(&resolved.config);
    let after = Network {
        default_route: Some("tun0".to_owned()),
        ..network(&["lo", "tun0"])
    };
    let resolved = settled.lower_awaiting(&after).unwrap();
    assert_eq!(wanted(&resolved), ["wlan0", "lo"]);
    assert_eq!(interfaces(&resolved), ["lo"]);
}

#[test]
fn a_reload_keeps_what_a_run_waited_for() {
    let text = "interfaces = [\"eth*\", \"wg0\"]
        [[redirect]]\nfrom = 80\nto = 8000
        [[redirect]]\nfrom = 81\nto = 8000\ninterfaces = [\"eth0\"]\n";
    let loaded = file(text).lower_awaiting(&network(&["eth0"])).unwrap();
    let plain = || {
        let draft = Draft::with_default_file(&[], None, Path::new("/nonexistent/config.toml"));
        draft.unwrap().keep(&loaded.config)
    };
    let resolved = plain().lower(&network(&["eth0", "eth1"])).unwrap();
    assert_eq!(interfaces(&resolved), ["eth0", "eth1"]);
    assert_eq!(resolved.config.wanted, loaded.config.wanted);
    assert_eq!(
        notices(&resolved),
        ["no interface is there for wg0, which stays wanted"]
    );
    // The pins do not tell of a rule that is left out.
    let lost = plain().lower(&network(&["eth1"])).unwrap_err();
    let message = lost.to_string();
    assert!(message.contains("\"eth0\", which is loaded"), "{message}");
    // What is named is all that is wanted.
    let named = draft(&["eth1"]).keep_interfaces(&loaded.config);
    assert_eq!(named.lower(&network(&["eth1"])).unwrap().config.wanted, []);
}

#[test]
fn a_rule_waits_for_its_interfaces() {
    let text = "interfaces = [\"lo\", \"eth*\"]
        [[redirect]]\nfrom = 80\nto = 8000\ninterfaces = [\"eth1\"]
        [[redirect]]\nfrom = 81\nto = 8000\ninterfaces = [\"eth*\"]
        [[redirect]]\nfrom = 82\nto = 8000\n";
    let rules = |host: &[&str]| {
        let resolved = file(text).lower_awaiting(&network(host)).unwrap();
        let rules = resolved.config.rules.iter().map(|rule| rule.to_string());
        (
            rules.collect::<Vec<_>>().join("; "),
            wanted(&resolved).join(" "),
        )
    };
    let none = rules(&["lo"]);
    assert_eq!(none, ("82:8000/tcp".to_owned(), "lo eth* eth1".to_owned()));
    let (one, wanted) = rules(&["lo", "eth0"]);
    assert_eq!(one, "81:8000/tcp on eth0; 82:8000/tcp");
    assert_eq!(wanted, "lo eth* eth1");
    let (both, wanted) = rules(&["lo", "eth0", "eth1"]);
    assert_eq!(
        both,
        "80:8000/tcp on eth1; 81:8000/tcp on eth0, eth1; 82:8000/tcp"
    );
    assert_eq!(wanted, "lo eth*");
    // A load has no rules that wait.
    let refused = file(text).lower(&network(&["lo", "eth0"])).unwrap_err();
    assert_eq!(
        first_line(&refused),
        "f.toml:5:15: interface \"eth1\" does not exist, did you mean `eth0`? (there are: lo, eth0)"
    );
}

#[test]
fn a_rule_of_an_interface_that_cannot_come_is_refused() {
    let text = "interfaces = [\"lo\", \"eth*\"]\n[[redirect]]\nfrom = 80\nto = 8000\n\
                interfaces = [\"wg0\"]\n";
    let error = file(text).lower_awaiting(&network(&["lo", "wg0"]));
    assert_eq!(
        first_line(&error.unwrap_err()),
        "f.toml:5:15: rule 80:8000/tcp is for interface \"wg0\", which this instance does not use \
         (eth*, lo); add it to the instance's interfaces"
    );
    let text = text.replace("wg0", "wg*");
    let error = file(&text).lower(&network(&["lo", "eth0", "wg0"]));
    assert_eq!(
        first_line(&error.unwrap_err()),
        "f.toml:5:15: no interface matches wg* (there are: lo, eth0); `redirector run` waits for one, \
         `load` does not"
    );
}

#[test]
fn a_bad_pattern_is_shown_where_it_stands() {
    let text = "interfaces = [\"lo\", \"eth[\"]\n[[redirect]]\nfrom = 80\nto = 8000\n";
    for error in [
        file(text).lower(&network(&["lo"])),
        file(text).lower_awaiting(&network(&["lo"])),
    ] {
        let message = error.unwrap_err().to_string();
        assert!(
            message.starts_with(
                "f.toml:1:21: interface pattern \"eth[\" is not a shell pattern of *, ? and [...]"
            ),
            "{message}"
        );
    }
}

#[test]
fn more_interfaces_than_an_instance_can_hold() {
    let names: Vec<_> = (0..=MAX_INTERFACES).map(|n| format!("veth{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let error = draft(&["veth*"]).lower(&network(&names)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "257 interfaces are more than the 256 an instance can hold; name fewer, or a pattern that \
         matches fewer"
    );
    assert!(draft(&["veth*"]).lower(&network(&names[1..])).is_ok());
}
