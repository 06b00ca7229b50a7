//! Small random histories of queues, identifiers, balances and errors against the definitions, spelt out.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shakedown_checker::catalogue::Invariants;

use super::random::{Does, Op, cases, edn, history};
use super::written::judge;

/// Values that recur, and dequeues of one or none, mostly of what was enqueued.
fn queues() -> impl Strategy<Value = Vec<Op>> {
    history(
        |draw, number| {
            if draw.is_multiple_of(5) {
                0
            } else {
                number as i64
            }
        },
        |draw, added| match (draw % 7, added.len()) {
            (0, _) | (_, 0) => Vec::new(),
            (1, _) => vec![99],
            (_, count) => vec![added[draw as usize / 7 % count]],
        },
    )
}

/// The history with `dequeue`s, or with each of them as a `drain`.
fn text(ops: &[Op], drains: bool) -> String {
    let (f, seen): (_, fn(&[i64]) -> String) = match drains {
        true => (":f :drain", |seen| format!("{seen:?}")),
        false => (":f :dequeue", |seen| {
            seen.first().map_or("nil".to_owned(), i64::to_string)
        }),
    };
    edn(ops, seen)
        .replace(":f :add", ":f :enqueue")
        .replace(":f :read", f)
}

fn enqueues(ops: &[Op], value: i64) -> impl Iterator<Item = &Op> {
    let of_value = move |op: &&Op| matches!(op.does, Does::Add(added) if added == value);
    ops.iter().filter(of_value)
}

/// When each `ok` dequeue of a value was answered.
fn taken(ops: &[Op], value: i64) -> Vec<usize> {
    let took = |op: &Op| matches!(&op.does, Does::Read(seen) if seen.first() == Some(&value));
    ops.iter()
        .filter(|op| took(op))
        .filter_map(Op::ok)
        .collect()
}

/// Whether all that was acknowledged came out if the dequeues without answer took these values.
fn all_out(ops: &[Op], values: &BTreeSet<i64>, taken_by_open: &[i64]) -> bool {
    values.iter().all(|value| {
        let acknowledged = enqueues(ops, *value).filter(|op| op.ok().is_some()).count();
        let open = taken_by_open.iter().filter(|one| *one == value).count();
        acknowledged <= taken(ops, *value).len() + open
    })
}

/// Whether some choice of values for dequeues without answer leaves nothing lost.
fn explained(ops: &[Op], values: &BTreeSet<i64>, left: usize, chosen: &mut Vec<i64>) -> bool {
    if left == 0 {
        return all_out(ops, values, chosen);
    }
    values.iter().any(|value| {
        chosen.push(*value);
        let found = explained(ops, values, left - 1, chosen);
        chosen.pop();
        found
    })
}

fn expected(ops: &[Op], drains: bool, once: bool) -> &'static str {
    let of = |op: &Op| match &op.does {
        Does::Add(value) => vec![*value],
        Does::Read(seen) => seen.clone(),
    };
    let values: BTreeSet<i64> = ops.iter().flat_map(of).collect();
    let wrong = values.iter().any(|value| {
        let happened = || enqueues(ops, *value).filter(|op| !op.is("fail"));
        let taken = taken(ops, *value);
        let first = taken.iter().min();
        let unexpected = first.is_some_and(|at| !happened().any(|op| op.called < *at));
        unexpected || (once && taken.len() > happened().count())
    });
    let open = ops
        .iter()
        .filter(|op| matches!(op.does, Does::Read(_)) && (op.answered.is_none() || op.is("info")));
    let open = open.count();
    let may_be_explained = match drains {
        true if open > 0 => true,
        true => all_out(ops, &values, &[]),
        false => explained(ops, &values, open, &mut Vec::new()),
    };
    let enqueued = ops
        .iter()
        .any(|op| matches!(op.does, Does::Add(_)) && op.ok().is_some());
    match () {
        () if wrong || !(may_be_explained || values.is_empty()) => "invalid",
        () if !enqueued || !all_out(ops, &values, &[]) => "unknown",
        () => "valid",
    }
}

/// Reads of two accounts, rarely of others, mostly of 10 in all.
fn balances(draw: u32, _: &[i64]) -> Vec<i64> {
    let first = i64::from(draw % 13) - 1;
    match draw / 13 % 9 {
        0 => vec![10],
        1 => vec![first, 9 - first],
        _ => vec![first, 10 - first],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn queues_are_judged_as_defined(ops in queues(), drains in any::<bool>()) {
        let text = text(&ops, drains);
        for (model, once) in [("total-queue", false), ("total-queue-once", true)] {
            let outcome = judge(model, &text, Invariants::default());
            let expected = expected(&ops, drains, once);
            prop_assert_eq!(outcome.verdict.word(), expected, "{}: {}\n{}", model, outcome.reason, text);
        }
    }

    #[test]
    fn identifiers_are_unique_as_defined(ops in history(|_, _| 0, |draw, _| vec![i64::from(draw % 8)])) {
        let only: Vec<Op> = ops.into_iter().filter(|op| matches!(op.does, Does::Read(_))).collect();
        let text = edn(&only, |seen| seen.first().map_or("nil".to_owned(), i64::to_string));
        let outcome = judge("unique-ids", &text.replace(":f :read", ":f :generate"), Invariants::default());
        let given = only.iter().filter(|op| op.ok().is_some());
        let given: Vec<i64> = given.flat_map(|op| match &op.does {
            Does::Read(seen) => seen.clone(),
            Does::Add(_) => Vec::new(),
        }).collect();
        let twice = (0..given.len()).any(|one| given[..one].contains(&given[one]));
        let expected = match given.len() {
            0 => "unknown",
            _ if twice => "invalid",
            _ => "valid",
        };
        prop_assert_eq!(outcome.verdict.word(), expected, "{}", text);
    }

    #[test]
    fn banks_are_judged_as_defined(ops in history(|_, _| 1, balances), negative in any::<bool>(), known in any::<bool>()) {
        let text = edn(&ops, |seen| {
            let accounts: Vec<_> = seen.iter().enumerate().map(|(account, has)| format!("{account} {has}")).collect();
            format!("{{{}}}", accounts.join(", "))
        });
        let invariants = Invariants {
            negative_balances: negative,
            total: known.then_some(10),
            ..Invariants::default()
        };
        let outcome = judge("bank", &text.replace(":f :add", ":f :transfer"), invariants);
        let mut reads: Vec<(usize, &Vec<i64>)> = ops.iter().filter_map(|op| match &op.does {
            Does::Read(seen) => op.ok().map(|at| (at, seen)),
            Does::Add(_) => None,
        }).collect();
        reads.sort_unstable();
        let expected = match reads.first() {
            None => "unknown",
            Some((_, first)) => {
                let total = if known { 10 } else { first.iter().sum() };
                let fine = |(_, read): &(usize, &Vec<i64>)| {
                    read.len() == first.len()
                        && read.iter().sum::<i64>() == total
                        && (negative || read.iter().all(|balance| *balance >= 0))
                };
                if reads.iter().all(fine) { "valid" } else { "invalid" }
            }
        };
        prop_assert_eq!(outcome.verdict.word(), expected, "{}", text);
    }

    #[test]
    fn functions_that_never_succeed_are_found_as_defined(ops in history(|_, _| 1, |_, _| Vec::new())) {
        let text = edn(&ops, |_| "nil".to_owned());
        let outcome = judge("availability", &text, Invariants::default());
        let never = |reads: bool| {
            let mut of = ops.iter().filter(|op| matches!(op.does, Does::Read(_)) == reads).peekable();
            of.peek().is_some() && of.all(|op| op.ok().is_none())
        };
        let expected = if never(true) || never(false) { "invalid" } else { "valid" };
        prop_assert_eq!(outcome.verdict.word(), expected, "{}", text);
    }
}
