use proptest::prelude::*;

use super::*;

const MILLION: u64 = 1_024_000;
const NR_OPEN_VALUE: u64 = 1_048_576;

fn limits_of(soft: u64, hard: u64) -> Limits {
    Limits {
        soft: Some(soft),
        hard: Some(hard),
    }
}

#[test]
fn limits_of_a_process() {
    let set = |soft, hard| Some(limits_of(soft, hard));
    for (now, may_raise, expected, short) in [
        (limits_of(1024, 524_288), true, set(MILLION, MILLION), None),
        (
            limits_of(1024, 20_000),
            false,
            set(20_000, 20_000),
            Some(Short::Hard),
        ),
        (limits_of(20_000, 20_000), false, None, Some(Short::Hard)),
        (limits_of(1024, MILLION), false, set(MILLION, MILLION), None),
        (limits_of(MILLION, MILLION), false, None, None),
        (
            limits_of(1024, NR_OPEN_VALUE),
            true,
            set(MILLION, NR_OPEN_VALUE),
            None,
        ),
        (limits_of(NR_OPEN_VALUE, NR_OPEN_VALUE), true, None, None),
    ] {
        let found = step(now, MILLION, false, NR_OPEN_VALUE, may_raise);
        assert_eq!(
            found,
            LimitStep {
                set: expected,
                short
            },
            "{now:?}"
        );
    }
    let small = step(limits_of(1024, 4096), MILLION, false, 65_536, true);
    let expected = LimitStep {
        set: set(65_536, 65_536),
        short: Some(Short::NrOpen(65_536)),
    };
    assert_eq!(small, expected);
    let stuck = step(limits_of(1024, NR_OPEN_VALUE), MILLION, false, 65_536, true);
    assert_eq!(
        (stuck.set, stuck.short),
        (None, Some(Short::NrOpen(65_536)))
    );
    let exact = step(
        limits_of(NR_OPEN_VALUE, NR_OPEN_VALUE),
        MILLION,
        true,
        NR_OPEN_VALUE,
        true,
    );
    assert_eq!(exact.set, set(MILLION, MILLION));
    let kept = step(
        limits_of(NR_OPEN_VALUE, NR_OPEN_VALUE),
        MILLION,
        true,
        NR_OPEN_VALUE,
        false,
    );
    assert_eq!(
        (kept.set, kept.short),
        (set(MILLION, NR_OPEN_VALUE), Some(Short::NoWayBack))
    );
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..5000_u64,
        0..3_000_000_u64,
        Just(NR_OPEN_VALUE),
        Just(MILLION)
    ]
}

proptest! {
    #[test]
    fn the_kernel_takes_every_limit(
        (one, other) in (limit(), limit()),
        nofile in limit().prop_map(|limit| limit.max(1024)),
        nr_open in limit().prop_map(|limit| limit.max(64)),
        exact: bool,
        may_raise: bool,
    ) {
        let now = limits_of(one.min(other), one.max(other));
        let found = step(now, nofile, exact, nr_open, may_raise);
        if let Some(new) = found.set {
            prop_assert_ne!(new, now);
            let (soft, hard) = (new.soft.unwrap(), new.hard.unwrap());
            prop_assert!(soft <= hard);
            prop_assert!(hard <= nr_open || hard == now.hard.unwrap());
            prop_assert!(may_raise || new.hard == now.hard);
            prop_assert!(exact || new.soft >= now.soft && new.hard >= now.hard);
        }
        let after = found.set.unwrap_or(now);
        let is_met = match exact {
            true => after == limits_of(nofile, nofile),
            false => after.soft.unwrap() >= nofile && after.hard.unwrap() >= nofile,
        };
        prop_assert_eq!(is_met, found.short.is_none(), "{:?} {:?}", now, found);
        // The second time there is nothing left to do.
        prop_assert_eq!(step(after, nofile, exact, nr_open, may_raise).set, None);
    }
}
