//! Small random histories of counters and of reads for long forks against the definitions, spelt out.

use proptest::prelude::*;
use shakedown_checker::catalogue::Invariants;

use super::random::{Does, Op, cases, edn, history};
use super::written::judge;

fn counters() -> impl Strategy<Value = Vec<Op>> {
    history(
        |draw, _| i64::from(draw % 7) - 3,
        |draw, added| vec![i64::from(draw % 5) - 2 + added.iter().sum::<i64>()],
    )
}

/// Whether some subset of the adds that may have happened gives a sum that is at most, and one that is
/// at least, what a read saw.
fn within(ops: &[Op], read: &Op, answered: usize, seen: i64) -> bool {
    let adds = ops.iter().filter_map(|op| match op.does {
        Does::Add(amount) if !op.is("fail") => Some((op, amount)),
        _ => None,
    });
    let (mut sure, mut maybe) = (0, Vec::new());
    for (op, amount) in adds {
        if op.ok().is_some_and(|at| at < read.called) {
            sure += amount;
        } else if op.called < answered {
            maybe.push(amount);
        }
    }
    let sums = (0..1_u32 << maybe.len()).map(|chosen| {
        let chosen = maybe
            .iter()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 == 1);
        sure + chosen.map(|(_, amount)| amount).sum::<i64>()
    });
    let sums: Vec<i64> = sums.collect();
    sums.iter().any(|sum| *sum <= seen) && sums.iter().any(|sum| *sum >= seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn counters_are_bounded_as_defined(ops in counters()) {
        let text = edn(&ops, |seen| seen.first().map_or("nil".to_owned(), i64::to_string));
        let outcome = judge("counter-bounds", &text, Invariants::default());
        let outside = ops.iter().filter(|op| match (&op.does, op.ok()) {
            (Does::Read(seen), Some(at)) => !within(&ops, op, at, seen[0]),
            _ => false,
        });
        prop_assert_eq!(&outcome.facts["out_of_bounds"], outside.count(), "{}", text);
    }

    #[test]
    fn forks_are_found_if_any_two_reads_disagree(reads in prop::collection::vec(0_u32..16, 0..7)) {
        let read = |has: &u32| {
            let steps = (0..4).map(|key| match has >> key & 1 {
                1 => format!("[:r {key} 7]"),
                _ => format!("[:r {key} nil]"),
            });
            format!("[{}]", steps.collect::<Vec<_>>().join(" "))
        };
        let events = reads.iter().map(|has| format!(
            "{{:type :invoke :f :txn :value []}} {{:type :ok :f :txn :value {}}}\n", read(has)
        ));
        let text: String = events.collect();
        let outcome = judge("long-fork", &text, Invariants::default());
        let disagree = |a: &u32, b: &u32| a & !b != 0 && b & !a != 0;
        let fork = reads.iter().any(|one| reads.iter().any(|other| disagree(one, other)));
        prop_assert_eq!(outcome.verdict.word() == "invalid", fork, "{}", text);
    }
}
