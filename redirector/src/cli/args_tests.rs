use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
}

#[test]
fn the_grammar_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn load_takes_rules_and_options_in_any_order() {
    let line = "redirector load 80:8000 -i eth0 443:4430/udp --interface lo --hook tc \
                --name web --dry-run --log-level debug";
    let Command::Load(load) = parse(line).unwrap() else {
        panic!("not load")
    };
    let rules: Vec<_> = load.source.rules.iter().map(RuleSpec::to_string).collect();
    assert_eq!(rules, ["80:8000/tcp", "443:4430/udp"]);
    assert_eq!(load.source.interfaces, ["eth0", "lo"]);
    assert_eq!(load.source.hook, Some(Hook::Tc));
    assert_eq!(load.instance.name.as_str(), "web");
    assert_eq!(load.options.log_level, LogLevel::Debug);
    assert!(load.dry_run);
}

#[test]
fn reload_has_the_defaults_of_load() {
    let Command::Reload(reload) = parse("redirector reload").unwrap() else {
        panic!("not reload")
    };
    assert!(reload.source.rules.is_empty() && reload.source.interfaces.is_empty());
    assert_eq!((reload.source.config, reload.source.hook), (None, None));
    assert_eq!(reload.instance.name, Name::default());
    assert!(!reload.dry_run);
}

#[test]
fn watch_takes_seconds_or_none() {
    for (line, seconds) in [
        ("redirector stats", None),
        ("redirector stats --watch", Some(1.0)),
        ("redirector stats --watch --json", Some(1.0)),
        ("redirector stats --watch 2", Some(2.0)),
        ("redirector stats --watch=0.5", Some(0.5)),
        ("redirector stats -w 0.5", Some(0.5)),
    ] {
        let Command::Stats(stats) = parse(line).unwrap() else {
            panic!("not stats")
        };
        assert_eq!(
            stats.watch.map(|interval| interval.0.as_secs_f64()),
            seconds,
            "{line}"
        );
    }
    for seconds in ["0", "-1", "abc", "nan", "inf", "1e-12", "1e300", ""] {
        let error = seconds.parse::<Interval>().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("interval {seconds:?} is not a number of seconds above 0")
        );
    }
}

#[test]
fn refuses_what_contradicts_itself() {
    for line in [
        "redirector unload --all --name web",
        "redirector load --hook ebpf",
        "redirector load --hook xdp --xdp-mode fast",
        "redirector load --name a/b",
        "redirector completions",
        "redirector completions tcsh",
        "redirector load 80:0",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert!(
        matches!(parse("redirector unload --all").unwrap(), Command::Unload(unload) if unload.all)
    );
    assert!(matches!(
        parse("redirector program-report").unwrap(),
        Command::ProgramReport
    ));
}
