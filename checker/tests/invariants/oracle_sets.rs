//! Small random histories of sets against the definitions, spelt out.

use proptest::prelude::*;
use shakedown_checker::catalogue::Invariants;

use super::random::{Does, Op, cases, edn, history};
use super::written::judge;

fn subset(draw: u32, added: &[i64]) -> Vec<i64> {
    // Most elements, often all; now and then one that nobody added.
    let keep = draw | draw >> 8 | if draw.is_multiple_of(3) { u32::MAX } else { 0 };
    let kept = added
        .iter()
        .enumerate()
        .filter(|(at, _)| keep >> at & 1 == 1);
    let mut seen: Vec<i64> = kept.map(|(_, value)| *value).collect();
    if draw.is_multiple_of(41) {
        seen.push(99);
    }
    seen
}

fn sets() -> impl Strategy<Value = Vec<Op>> {
    history(|_, number| number as i64, subset)
}

fn text(ops: &[Op]) -> String {
    edn(ops, |seen| format!("{seen:?}").replace(',', ""))
}

/// The reads that were ok: process, call, answer, what they saw.
fn reads(ops: &[Op]) -> Vec<(usize, usize, usize, &[i64])> {
    let read = |op: &'_ Op| op.ok().map(|at| (op.process, op.called, at));
    let all = ops.iter().filter_map(|op| match &op.does {
        Does::Read(seen) => read(op).map(|(process, called, at)| (process, called, at, &seen[..])),
        Does::Add(_) => None,
    });
    all.collect()
}

fn adds(ops: &[Op]) -> Vec<(i64, &Op)> {
    let add = |op| match op {
        op @ &Op {
            does: Does::Add(value),
            ..
        } => Some((value, op)),
        _ => None,
    };
    ops.iter().filter_map(add).collect()
}

/// What became of each element: every element looked at in every read, as Jepsen does it.
fn fates(ops: &[Op]) -> [usize; 5] {
    let reads = reads(ops);
    let [mut stable, mut stale, mut lost, mut never, mut unexpected] = [0; 5];
    if reads.iter().any(|(.., seen)| seen.contains(&99)) {
        unexpected += 1;
    }
    for (value, add) in adds(ops) {
        let seen = |(.., seen): &&(usize, usize, usize, &[i64])| seen.contains(&value);
        if add.is("fail") {
            unexpected += usize::from(reads.iter().any(|read| seen(&read)));
            continue;
        }
        let first_seen = reads.iter().filter(seen).map(|read| read.2).min();
        let known = add.ok().into_iter().chain(first_seen).min();
        let present = reads.iter().filter(seen).map(|read| read.1).max();
        let after = reads
            .iter()
            .filter(|read| read.2 > add.called && !seen(read));
        let absent = after.map(|read| read.1).max();
        let late = known
            .zip(absent)
            .is_some_and(|(known, absent)| known < absent);
        if present.is_some() && present > absent {
            stable += 1;
            stale += usize::from(late);
        } else if late {
            lost += 1;
        } else {
            never += 1;
        }
    }
    [stable, stale, lost, never, unexpected]
}

fn session_violated(model: &str, ops: &[Op]) -> bool {
    let (reads, adds) = (reads(ops), adds(ops));
    let read_before = |who: usize, at: usize| {
        let own = reads
            .iter()
            .filter(move |read| read.0 == who && read.2 < at);
        own.flat_map(|read| read.3.to_vec()).collect::<Vec<_>>()
    };
    let added_before = |who: usize, at: usize| {
        let own = adds.iter().filter(move |(_, op)| op.process == who);
        let own = own.filter(move |(_, op)| op.ok().is_some_and(|ok| ok < at));
        own.map(|(value, _)| *value).collect::<Vec<_>>()
    };
    reads.iter().any(|&(process, called, _, seen)| {
        let there = adds.iter().filter(|(value, _)| seen.contains(value));
        let must: Vec<i64> = match model {
            "monotonic-reads" => read_before(process, called),
            "read-your-writes" => added_before(process, called),
            "monotonic-writes" => there
                .flat_map(|(_, op)| added_before(op.process, op.called))
                .collect(),
            _ => there
                .flat_map(|(_, op)| read_before(op.process, op.called))
                .collect(),
        };
        must.iter().any(|value| !seen.contains(value))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_element_has_the_fate_of_the_definition(ops in sets()) {
        let outcome = judge("set-full", &text(&ops), Invariants::default());
        let fates = fates(&ops);
        let found = ["stable", "stale", "lost", "never_read", "unexpected"]
            .map(|name| outcome.facts[name].as_u64().unwrap() as usize);
        prop_assert_eq!(found, fates, "{}", text(&ops));
        prop_assert_eq!(outcome.verdict.word() == "invalid", fates[2] + fates[4] > 0);
        let strict = judge("set-full-strict", &text(&ops), Invariants::default());
        prop_assert_eq!(strict.verdict.word() == "invalid", fates[1] + fates[2] + fates[4] > 0);
    }

    #[test]
    fn reads_as_changes_say_what_whole_reads_say(ops in sets()) {
        let whole = judge("set-full", &text(&ops), Invariants::default());
        let mut order: Vec<usize> = (0..ops.len()).collect();
        order.sort_by_key(|at| ops[*at].answered.map_or(usize::MAX, |(at, _)| at));
        let mut last: Vec<i64> = Vec::new();
        let mut changes = text(&ops);
        for number in order {
            let Does::Read(seen) = &ops[number].does else { continue };
            let Some((_, kind)) = ops[number].answered else { continue };
            let list = |values: Vec<&i64>| format!("{values:?}").replace(',', "");
            let added = list(seen.iter().filter(|value| !last.contains(value)).collect());
            let removed = list(last.iter().filter(|value| !seen.contains(value)).collect());
            let process = ops[number].process;
            let plain = format!("{{:type :{kind} :f :read :value {seen:?} :process {process}}}\n").replace(',', "");
            let short = format!("{{:type :{kind} :f :read :value {{:added {added} :removed {removed}}} :process {process} }}\n");
            changes = changes.replacen(&plain, &short, 1);
            if kind == "ok" {
                last.clone_from(seen);
            }
        }
        let short = judge("set-full", &changes, Invariants::default());
        prop_assert_eq!(short.facts, whole.facts, "{}", changes);
    }

    #[test]
    fn the_last_read_is_judged_as_defined(ops in sets()) {
        let outcome = judge("final-set", &text(&ops), Invariants::default());
        let reads = reads(&ops);
        let Some(last) = reads.iter().max_by_key(|read| read.1) else {
            prop_assert_eq!(outcome.verdict.word(), "unknown");
            return Ok(());
        };
        let adds = adds(&ops);
        let lost = adds.iter().any(|(value, op)| op.ok().is_some_and(|at| at < last.1) && !last.3.contains(value));
        let may_be = |seen: &&i64| adds.iter().any(|(value, op)| value == *seen && !op.is("fail"));
        let unexpected = !last.3.iter().all(|seen| may_be(&seen));
        prop_assert_eq!(outcome.verdict.word() == "invalid", lost || unexpected, "{}", text(&ops));
    }

    #[test]
    fn sessions_are_judged_as_defined(ops in sets()) {
        for model in ["monotonic-reads", "read-your-writes", "monotonic-writes", "writes-follow-reads"] {
            let outcome = judge(model, &text(&ops), Invariants::default());
            let violated = session_violated(model, &ops);
            prop_assert_eq!(outcome.verdict.word() == "invalid", violated, "{} {}", model, text(&ops));
        }
    }
}
