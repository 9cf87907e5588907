use super::run::Take;
use super::{Difference, Scenario};

type Part = (
    &'static str,
    fn(&Take) -> &[String],
    fn(&Difference) -> bool,
);

const PARTS: [Part; 3] = [
    (
        "client's transcript",
        |take| &take.client,
        |difference| difference.client,
    ),
    (
        "server's transcript",
        |take| &take.server,
        |difference| difference.server,
    ),
    ("wire", |take| &take.wire, |difference| difference.wire),
];

/// What should agree and does not, and what is declared to differ and does not.
pub(super) fn compare(scenario: &Scenario, oracle: &[Take], redirector: &[Take]) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(difference) = scenario.difference
        && !PARTS.iter().any(|(_, _, declared)| declared(&difference))
    {
        problems.push(format!(
            "a difference is declared, but not in what: {}",
            difference.reason
        ));
    }
    for (name, part, declared) in PARTS {
        let differing: Vec<_> = oracle
            .iter()
            .zip(redirector)
            .filter(|(oracle, redirector)| part(oracle) != part(redirector))
            .collect();
        match scenario.difference.filter(declared) {
            Some(difference) if differing.is_empty() => problems.push(format!(
                "the {name} is declared to differ and does not: {}",
                difference.reason
            )),
            Some(_) => {}
            None => problems.extend(differing.iter().map(|(oracle, redirector)| {
                format!(
                    "{}: the {name} differs, - under Nft, + under Redirector\n{}",
                    oracle.case,
                    diff(part(oracle), part(redirector))
                )
            })),
        }
    }
    problems
}

/// All lines, those of one side only marked.
fn diff(left: &[String], right: &[String]) -> String {
    let mut lines = Vec::new();
    let (mut left_at, mut right_at) = (0, 0);
    for (left_common, right_common) in common(left, right) {
        lines.extend(marked('-', &left[left_at..left_common]));
        lines.extend(marked('+', &right[right_at..right_common]));
        lines.extend(marked(' ', &left[left_common..=left_common]));
        (left_at, right_at) = (left_common + 1, right_common + 1);
    }
    lines.extend(marked('-', &left[left_at..]));
    lines.extend(marked('+', &right[right_at..]));
    lines.join("\n")
}

fn marked(mark: char, lines: &[String]) -> impl Iterator<Item = String> {
    lines.iter().map(move |line| format!("  {mark} {line}"))
}

/// Positions of the longest common subsequence.
fn common(left: &[String], right: &[String]) -> Vec<(usize, usize)> {
    let mut lengths = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] = match left[i] == right[j] {
                true => lengths[i + 1][j + 1] + 1,
                false => lengths[i + 1][j].max(lengths[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[i + 1][j] >= lengths[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::Offloads;
    use crate::scenario::stage::Case;
    use crate::scenario::{Family, Place};

    const SCENARIO: Scenario = Scenario::new("compared", |_| {});
    const ON_WIRE: Difference = Difference::new("the reason").on_wire();

    #[test]
    fn what_agrees_is_no_problem() {
        let takes = [take("a"), take("b")];
        assert_eq!(compare(&SCENARIO, &takes, &takes), [""; 0]);
    }

    #[test]
    fn one_case_that_differs_is_shown() {
        let [oracle, redirector] = ["b", "c"].map(|line| [take("a"), take(line)]);
        assert_eq!(
            compare(&SCENARIO, &oracle, &redirector),
            [
                "V4, Remote, offloads Off: the wire differs, - under Nft, + under Redirector\n  \
                 - b\n  + c"
            ]
        );
    }

    #[test]
    fn a_declared_difference_must_show_and_covers_its_part_only() {
        let scenario = SCENARIO.differs(ON_WIRE);
        assert_eq!(compare(&scenario, &[take("a")], &[take("b")]), [""; 0]);
        assert_eq!(
            compare(&scenario, &[take("a")], &[take("a")]),
            ["the wire is declared to differ and does not: the reason"]
        );
        let mut other = take("b");
        other.client.push("a line".to_owned());
        let problems = compare(&scenario, &[take("a")], &[other]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("client's transcript differs"));
    }

    #[test]
    fn a_difference_in_nothing_is_a_mistake() {
        let scenario = SCENARIO.differs(Difference::new("the reason"));
        assert_eq!(
            compare(&scenario, &[take("a")], &[take("a")]),
            ["a difference is declared, but not in what: the reason"]
        );
    }

    fn take(wire: &str) -> Take {
        Take {
            case: Case {
                number: 0,
                family: Family::V4,
                place: Place::Remote,
                offloads: Offloads::Off,
            },
            client: Vec::new(),
            server: Vec::new(),
            wire: vec![wire.to_owned()],
        }
    }

    #[test]
    fn a_diff_marks_the_lines_of_one_side() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            diff(&lines("a b c d"), &lines("a c x d")),
            "    a\n  - b\n    c\n  + x\n    d"
        );
    }
}
