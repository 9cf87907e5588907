use std::time::Duration;

use super::*;
use crate::stats::fixtures::snapshot;

#[test]
fn rates_are_per_second() {
    let before = snapshot(10, &[(80, 10), (443, 5)], 1);
    let sample = Sample::new(snapshot(12, &[(80, 30), (443, 5)], 2), Some(&before));
    assert_eq!(sample.rates[0].unwrap().in_packets, 10.0);
    assert_eq!(sample.rates[0].unwrap().in_bytes, 1000.0);
    assert_eq!(sample.rates[1], Some(Rate::default()));
    assert_eq!(sample.skipped["malformed"], 0.5);
    assert_eq!(sample.total(), sample.rates[0]);
}

#[test]
fn a_rule_that_is_new_or_begins_anew_has_no_rate() {
    let before = snapshot(1, &[(80, 1000)], 9);
    let sample = Sample::new(snapshot(2, &[(443, 500), (80, 3)], 0), Some(&before));
    assert_eq!(sample.rates, [None; 2]);
    assert_eq!(sample.total(), None);
    assert_eq!(sample.skipped["malformed"], 0.0);
}

#[test]
fn another_load_and_the_first_sample_have_no_rates() {
    let before = snapshot(1, &[(80, 10)], 0);
    let mut now = snapshot(2, &[(80, 1000)], 0);
    assert_eq!(Sample::new(now.clone(), None).rates, [None]);
    now.since += Duration::from_secs(1);
    assert_eq!(Sample::new(now, Some(&before)).rates, [None]);
}

#[test]
fn a_clock_that_is_set_changes_no_rate() {
    let before = snapshot(10_000, &[(80, 10)], 1);
    for is_back in [true, false] {
        let mut now = snapshot(10_002, &[(80, 30)], 3);
        let hour = Duration::from_secs(3600);
        now.time = if is_back {
            now.time - hour
        } else {
            now.time + hour
        };
        let sample = Sample::new(now, Some(&before));
        assert_eq!(sample.rates[0].map(|rate| rate.in_packets), Some(10.0));
        assert_eq!(sample.skipped["malformed"], 1.0);
    }
}
