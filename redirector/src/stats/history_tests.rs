use super::*;
use crate::stats::fixtures::{rule, snapshot};

/// Rules with bytes a second.
fn sample(rules: &[(u16, f64)]) -> Sample {
    let silent: Vec<_> = rules.iter().map(|(from, _)| (*from, 0)).collect();
    let mut sample = Sample::new(snapshot(0, &silent, 0), None);
    let rates = rules.iter().map(|(_, bytes)| {
        Some(Rate {
            in_bytes: *bytes,
            ..Rate::default()
        })
    });
    sample.rates = rates.collect();
    sample
}

fn bytes(series: &Series) -> Vec<f32> {
    series.iter().map(|point| point.in_bytes).collect()
}

#[test]
fn is_bounded_in_time() {
    let mut history = History::new(3, 4);
    for bytes in 0..10 {
        history.push(&sample(&[(80, f64::from(bytes))]));
    }
    assert_eq!(history.times().len(), 3);
    assert_eq!(bytes(history.total()), [7.0, 8.0, 9.0]);
    assert_eq!(bytes(history.rule(&rule(80)).unwrap()), [7.0, 8.0, 9.0]);
}

#[test]
fn is_bounded_in_rules_and_keeps_the_busiest() {
    let mut history = History::new(100, 2);
    history.push(&sample(&[(80, 5.0), (81, 1.0), (82, 3.0)]));
    let mut kept: Vec<_> = history.series().map(|(rule, _)| rule.from.get()).collect();
    kept.sort_unstable();
    assert_eq!(kept, [80, 82]);
    history.push(&sample(&[(80, 0.0), (81, 4.0), (82, 0.0)]));
    assert!(history.rule(&rule(82)).is_none());
    let newcomer = bytes(history.rule(&rule(81)).unwrap());
    assert!(newcomer[0].is_nan());
    assert_eq!(newcomer[1], 4.0);
}

#[test]
fn ten_thousand_silent_rules_displace_nobody() {
    let mut history = History::new(10, 2);
    history.push(&sample(&[(80, 5.0), (81, 1.0)]));
    let silent: Vec<_> = (1000..11_000).map(|from| (from, 0.0)).collect();
    history.push(&sample(&silent));
    assert!(history.rule(&rule(80)).is_some() && history.rule(&rule(81)).is_some());
}

#[test]
fn gaps_are_unknown_and_a_rule_of_gaps_alone_goes() {
    let mut history = History::new(2, 2);
    history.push(&sample(&[(80, 5.0)]));
    history.push_gap();
    assert_eq!(history.total().iter().len(), 2);
    assert!(bytes(history.total())[1].is_nan());
    history.push_gap();
    assert!(history.rule(&rule(80)).is_none());
}

#[test]
fn a_clock_that_is_set_leaves_times_in_order() {
    for set_to in [1, 100_000] {
        let mut history = History::new(10, 2);
        for second in [5000, 5001] {
            history.push(&Sample::new(snapshot(second, &[(80, 0)], 0), None));
        }
        let mut set = snapshot(5002, &[(80, 0)], 0);
        set.time = SystemTime::UNIX_EPOCH + Duration::from_secs(set_to);
        history.push(&Sample::new(set.clone(), None));
        let ages = history.times().map(|time| {
            let age = set.time.duration_since(time).expect("not of the future");
            age.as_secs()
        });
        assert_eq!(ages.collect::<Vec<_>>(), [2, 1, 0], "{set_to}");
    }
}
