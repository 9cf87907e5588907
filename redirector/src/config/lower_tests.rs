use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::*;
use crate::config::{Hook, Interface, RuleSpec, XdpMode};

fn network(names: &[&str], default_route: Option<&str>) -> Network {
    Network {
        interfaces: (1..)
            .zip(names)
            .map(|(index, name)| Interface {
                name: (*name).to_owned(),
                index,
            })
            .collect(),
        default_route: default_route.map(str::to_owned),
    }
}

fn host() -> Network {
    network(&["lo", "eth0", "wg0"], Some("eth0"))
}

fn from_rules(rules: &[&str]) -> Draft {
    let rules: Vec<RuleSpec> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Draft::with_default_file(&rules, None, Path::new("/nonexistent/config.toml")).unwrap()
}

fn from_file(text: &str) -> Draft {
    Draft::parse(Path::new("f.toml"), text.to_owned()).unwrap()
}

fn names(interfaces: &[Interface]) -> Vec<&str> {
    interfaces
        .iter()
        .map(|interface| interface.name.as_str())
        .collect()
}

fn rules(config: &Config) -> Vec<String> {
    config.rules.iter().map(Rule::to_string).collect()
}

fn first_line(draft: Draft, network: &Network) -> String {
    let message = draft.lower(network).unwrap_err().to_string();
    message.lines().next().unwrap().to_owned()
}

#[test]
fn the_defaults() {
    let resolved = from_rules(&[]).lower(&host()).unwrap();
    assert_eq!(names(&resolved.config.interfaces), ["eth0", "lo"]);
    assert_eq!(rules(&resolved.config), ["80:8000/tcp", "443:4430/tcp"]);
    assert_eq!(resolved.config.hook, Hook::Auto);
    assert_eq!(resolved.origin, Origin::Defaults);
    assert_eq!(resolved.notices, []);
}

#[test]
fn the_default_file_stands_in_for_rules_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, "[[redirect]]\nfrom = 1\nto = 2\n").unwrap();
    let rule = ["80:8000".parse().unwrap()];
    let origin = |rules: &[RuleSpec]| Draft::with_default_file(rules, None, &file).unwrap().origin;
    assert_eq!(origin(&[]), Origin::File(file.clone()));
    assert_eq!(origin(&rule), Origin::CommandLine);
    let error = Draft::with_default_file(&rule, Some(&file), &file).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rules on the command line and --config exclude each other; name the rules in one place"
    );
}

#[test]
fn a_file_without_rules_is_for_tuning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let nothing = format!(
        "{}: no [[redirect]], so there is nothing to redirect",
        file.display()
    );
    write("[tuning]\nnofile = 2000\n");
    let draft = Draft::for_tuning(&[], Some(&file)).unwrap();
    assert_eq!(draft.tuning().unwrap().nofile, 2000);
    assert!(!draft.has_own_rules());
    let ports: Vec<_> = draft.targets().iter().map(|(_, port)| port.get()).collect();
    assert_eq!(ports, [4430, 8000]);
    let error = Draft::new(&[], Some(&file)).unwrap_err();
    assert_eq!(error.to_string(), nothing);
    write("hook = \"tc\"\n");
    let error = Draft::for_tuning(&[], Some(&file)).unwrap_err();
    assert_eq!(error.to_string(), nothing);
    write("[tuning]\n[[redirect]]\nfrom = 1\nto = 2\n");
    assert!(Draft::for_tuning(&[], Some(&file)).unwrap().has_own_rules());
}

#[test]
fn an_unreadable_file_is_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        Draft::new(&[], Some(&directory.path().join(name)))
            .unwrap_err()
            .to_string()
    };
    let path = directory.path().display();
    assert_eq!(
        read("missing.toml"),
        format!("cannot read {path}/missing.toml: No such file or directory (os error 2)")
    );
    assert_eq!(
        read(""),
        format!("cannot read {path}/: Is a directory (os error 21)")
    );
    fs::write(directory.path().join("latin1.toml"), b"# ok\n# \xe9\n").unwrap();
    assert!(read("latin1.toml").starts_with(&format!("{path}/latin1.toml:2:3: not UTF-8\n")));
}

/// A mode of XDP is no obstacle to the option that leaves XDP.
#[test]
fn an_option_takes_the_files_hook_with_its_mode() {
    let text = "hook = \"xdp\"\nxdp_mode = \"native\"\n[[redirect]]\nfrom = 1\nto = 2\n";
    let lowered = |hook, mode| {
        let draft = from_file(text).hook(hook).xdp_mode(mode);
        let config = draft.lower(&host()).map(|resolved| resolved.config);
        config.map(|config| (config.hook, config.xdp_mode)).ok()
    };
    let generic = Some(XdpMode::Generic);
    for (hook, mode, expected) in [
        (None, None, Some((Hook::Xdp, XdpMode::Native))),
        (None, generic, Some((Hook::Xdp, XdpMode::Generic))),
        (Some(Hook::Tc), None, Some((Hook::Tc, XdpMode::Auto))),
        (Some(Hook::Auto), None, Some((Hook::Auto, XdpMode::Auto))),
        (Some(Hook::Tc), generic, None),
    ] {
        assert_eq!(lowered(hook, mode), expected, "{hook:?} {mode:?}");
    }
}

#[test]
fn options_override_the_file() {
    let text = "interfaces = [\"eth0\"]\n[[redirect]]\nfrom = 1\nto = 2\n";
    let draft = from_file(text)
        .interfaces(&["wg0".to_owned()])
        .hook(Some(Hook::Tc));
    let config = draft.lower(&host()).unwrap().config;
    assert_eq!(
        (names(&config.interfaces), config.hook),
        (vec!["wg0"], Hook::Tc)
    );
    let config = from_file(text)
        .interfaces(&[])
        .hook(None)
        .lower(&host())
        .unwrap()
        .config;
    assert_eq!(
        (names(&config.interfaces), config.hook),
        (vec!["eth0"], Hook::Auto)
    );
}

#[test]
fn interfaces_named_twice_count_once() {
    let named = ["lo", "eth0", "lo"].map(str::to_owned);
    let config = from_rules(&[])
        .interfaces(&named)
        .lower(&host())
        .unwrap()
        .config;
    assert_eq!(names(&config.interfaces), ["lo", "eth0"]);
}

#[test]
fn without_eth0_the_default_route_decides() {
    let laptop = network(&["lo", "wlan0"], Some("wlan0"));
    let resolved = from_rules(&[]).lower(&laptop).unwrap();
    assert_eq!(names(&resolved.config.interfaces), ["wlan0", "lo"]);
    assert_eq!(
        resolved.notices[0].to_string(),
        "eth0 does not exist and no interface was named: using wlan0, the default route's, and lo"
    );
    assert_eq!(
        first_line(from_rules(&[]), &network(&["lo", "wlan0"], None)),
        "interface \"eth0\" does not exist, and there is no default route to choose another by; \
         name one with -i (there are: lo, wlan0)"
    );
}

#[test]
fn an_unknown_interface_lists_the_known_ones() {
    let named = |name: &str| from_rules(&[]).interfaces(&[name.to_owned()]);
    assert_eq!(
        first_line(named("eht0"), &host()),
        "interface \"eht0\" does not exist, did you mean `eth0`? \
         (there are: lo, eth0, wg0; the default route uses eth0)"
    );
    assert_eq!(
        first_line(named("br-lan"), &network(&["lo"], None)),
        "interface \"br-lan\" does not exist (there are: lo)"
    );
    let many: Vec<_> = (0..500).map(|index| format!("veth{index}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(first_line(named("br-lan"), &network(&many, None)).ends_with("veth15 and 484 more)"));
}

#[test]
fn both_becomes_two_rules() {
    let config = from_rules(&["443:4430/both"])
        .lower(&host())
        .unwrap()
        .config;
    assert_eq!(rules(&config), ["443:4430/tcp", "443:4430/udp"]);
}

#[test]
fn rules_that_cannot_stand_together() {
    for (pair, message) in [
        (
            ["80:8000", "80:8000"],
            "rule 80:8000/tcp repeats 80:8000/tcp; leave one out",
        ),
        (
            ["80:8000/both", "80:8000"],
            "rule 80:8000/tcp repeats 80:8000/both; leave one out",
        ),
        (
            ["[::1]:80:1", "[0::1]:80:2/both"],
            "rule [::1]:80:2/both contradicts [::1]:80:1/tcp: a port has one target; leave one out",
        ),
    ] {
        assert_eq!(first_line(from_rules(&pair), &host()), message);
    }
    let text = "[[redirect]]\nfrom = 80\nto = 8000\n\n[[redirect]]\nfrom = 80\nto = 9000\n";
    assert_eq!(
        first_line(from_file(text), &host()),
        "f.toml:6:8: rule 80:9000/tcp contradicts 80:8000/tcp of line 2: \
         a port has one target; leave one out"
    );
}

#[test]
fn rules_of_different_specificity_stand_together() {
    let draft = from_rules(&[
        "80:8000",
        "80:8000/udp",
        "203.0.113.5:80:9000",
        "[::1]:80:9000",
    ]);
    assert_eq!(draft.lower(&host()).unwrap().config.rules.len(), 4);
    let scoped = |first: &str, second: &str| {
        format!(
            "interfaces = [\"eth0\", \"lo\"]\n[[redirect]]\nfrom = 80\nto = 1\n{first}\n\
             [[redirect]]\nfrom = 80\nto = 2\n{second}\n"
        )
    };
    let lower = |first, second| from_file(&scoped(first, second)).lower(&host());
    let config = lower("", "interfaces = [\"eth0\", \"eth0\"]")
        .unwrap()
        .config;
    assert_eq!(rules(&config), ["80:1/tcp", "80:2/tcp on eth0"]);
    assert!(lower("interfaces = [\"lo\"]", "interfaces = [\"eth0\"]").is_ok());
    assert!(lower("interfaces = [\"lo\"]", "interfaces = [\"eth0\", \"lo\"]").is_err());
}

#[test]
fn a_rule_stays_within_its_instance() {
    let text = |name| {
        format!(
            "interfaces = [\"eth0\", \"lo\"]\n[[redirect]]\nfrom = 80\nto = 1\ninterfaces = [\"{name}\"]\n"
        )
    };
    assert_eq!(
        first_line(from_file(&text("wg0")), &host()),
        "f.toml:5:15: rule 80:1/tcp is for interface \"wg0\", which this instance does not use \
         (eth0, lo); add it to the instance's interfaces"
    );
    assert_eq!(
        first_line(from_file(&text("wg1")), &host()),
        "f.toml:5:15: interface \"wg1\" does not exist, did you mean `wg0`? \
         (there are: lo, eth0, wg0; the default route uses eth0)"
    );
}

#[test]
fn rules_do_not_chain_and_that_is_said() {
    let resolved = from_rules(&["80:8000", "8000:9000", "9000:80", "443:80/udp"]).lower(&host());
    assert_eq!(
        resolved.unwrap().notices[0].to_string(),
        "the target of 80:8000/tcp is the source of 8000:9000/tcp: \
         a packet is rewritten once, rules do not chain (and 2 more such rules)"
    );
}

#[test]
fn ten_thousand_rules_are_lowered_at_once() {
    let many = |count: u16| -> Vec<RuleSpec> {
        let ports = (1..=count).map(|port| format!("{port}:{}/both", port + 20_000));
        ports.map(|rule| rule.parse().unwrap()).collect()
    };
    let lower = |rules: &[RuleSpec]| Draft::new(rules, None).unwrap().lower(&host());
    let rules = many(8192);
    let start = Instant::now();
    assert_eq!(lower(&rules).unwrap().config.rules.len(), MAX_RULES);
    // Far above what it takes, also unoptimised on a busy machine; a quadratic search takes longer.
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        lower(&many(8193)).unwrap_err().to_string(),
        "16386 rules are more than the 16384 an instance can hold \
         (a rule counts once for each protocol and each interface it names)"
    );
}
