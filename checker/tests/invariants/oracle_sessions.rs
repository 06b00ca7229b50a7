//! Small random histories of registers that any process writes, against every order of their writes.

use proptest::prelude::*;
use shakedown_checker::catalogue::Invariants;

use super::random::{Does, Op, cases, history};
use super::written::{judge, told};

/// Each write a value of its own; reads of what was written, of nothing, or rarely of what nobody wrote.
fn registers() -> impl Strategy<Value = Vec<Op>> {
    history(
        |_, number| number as i64,
        |draw, written| match (draw % 31, written.len()) {
            (0, _) => vec![99],
            (_, 0) => Vec::new(),
            (draw, count) => vec![written[draw as usize % count]],
        },
    )
}

/// Reads that say something: who, when called and answered, and what.
fn reads(ops: &[Op]) -> Vec<(usize, usize, usize, i64)> {
    let read = |op: &Op| match (&op.does, op.ok()) {
        (Does::Read(seen), Some(at)) => Some((op.process, op.called, at, *seen.first()?)),
        _ => None,
    };
    ops.iter().filter_map(read).collect()
}

fn writes(ops: &[Op]) -> Vec<(i64, &Op)> {
    let write = |op| match op {
        op @ &Op {
            does: Does::Add(value),
            ..
        } => Some((value, op)),
        _ => None,
    };
    ops.iter().filter_map(write).collect()
}

/// The register of a value, of so many.
fn register(value: i64, registers: i64) -> i64 {
    value % registers
}

/// Which value must not come after which.
fn pairs(model: &str, ops: &[Op], registers: i64) -> Vec<(i64, i64)> {
    let (reads, writes) = (reads(ops), writes(ops));
    // Writes that a process has read when it calls something: who called them, and when.
    let observed = |process: usize, called: usize| {
        let earlier = reads
            .iter()
            .filter(move |read| read.0 == process && read.2 < called);
        earlier.filter_map(|read| {
            let mut writes = writes.iter();
            let (_, write) = writes.find(|(value, op)| *value == read.3 && op.called < read.2)?;
            Some((write.process, write.called))
        })
    };
    let mut pairs = Vec::new();
    for &(process, called, _, seen) in &reads {
        let had_read = |process: usize, before: usize| {
            let earlier = reads.iter();
            earlier.filter(move |read| read.0 == process && read.2 < before)
        };
        let had_written = |process: usize, before: usize| {
            let own = writes.iter().filter(move |(_, op)| op.process == process);
            own.filter(move |(_, op)| op.ok().is_some_and(|at| at < before))
        };
        let earlier: Vec<i64> = match model {
            "monotonic-reads" => had_read(process, called).map(|read| read.3).collect(),
            "read-your-writes" => had_written(process, called)
                .map(|(value, _)| *value)
                .collect(),
            "monotonic-writes" => observed(process, called)
                .flat_map(|(writer, before)| had_written(writer, before))
                .map(|(value, _)| *value)
                .collect(),
            _ => observed(process, called)
                .flat_map(|(writer, before)| had_read(writer, before))
                .map(|read| read.3)
                .collect(),
        };
        pairs.extend(earlier.into_iter().map(|earlier| (earlier, seen)));
    }
    for (one, earlier) in &writes {
        let later = writes
            .iter()
            .filter(|(_, op)| op.process == earlier.process && op.called > earlier.called);
        pairs.extend(later.map(|(other, _)| (*one, *other)));
    }
    pairs.retain(|(one, other)| register(*one, registers) == register(*other, registers));
    pairs
}

/// As EDN, each operation on the register of its value.
fn text(ops: &[Op], registers: i64) -> String {
    let mut events = Vec::new();
    for op in ops {
        let (f, value, call) = match &op.does {
            Does::Add(value) => ("write", Some(*value), Some(*value)),
            Does::Read(seen) => ("read", seen.first().copied(), None),
        };
        let key = register(value.unwrap_or(0), registers);
        let process = op.process;
        let mut event = |at: usize, kind: &str, value: Option<i64>| {
            let value = value.map_or("nil".to_owned(), |value| value.to_string());
            let text =
                format!("{{:type :{kind} :f :{f} :key {key} :value {value} :process {process}}}\n");
            events.push((at, text));
        };
        event(op.called, "invoke", call);
        if let Some((at, kind)) = op.answered {
            event(at, kind, value);
        }
    }
    events.sort();
    events.into_iter().map(|(_, text)| text).collect()
}

/// Whether the values can be put in an order that these pairs agree with.
fn has_order(left: &[i64], pairs: &[(i64, i64)]) -> bool {
    left.is_empty()
        || left.iter().any(|next| {
            let rest: Vec<i64> = left.iter().copied().filter(|value| value != next).collect();
            let free = !pairs
                .iter()
                .any(|(one, other)| other == next && rest.contains(one));
            free && has_order(&rest, pairs)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn sessions_on_registers_of_several_writers_are_judged_by_every_order(
        ops in registers(),
        count in 1..3_i64,
    ) {
        let text = text(&ops, count);
        let (reads, writes) = (reads(&ops), writes(&ops));
        let values: Vec<i64> = writes.iter().map(|(value, _)| *value).collect();
        // Of a value written only after it was read nobody knows whose it was.
        let known = |read: &(usize, usize, usize, i64)| {
            writes.iter().any(|(value, op)| *value == read.3 && op.called < read.2)
        };
        for model in ["monotonic-reads", "read-your-writes", "monotonic-writes", "writes-follow-reads"] {
            let outcome = judge(model, &text, Invariants::default());
            let pairs: Vec<_> = pairs(model, &ops, count).into_iter().filter(|pair| pair.0 != 99 && pair.1 != 99).collect();
            let expected = match () {
                () if !has_order(&values, &pairs) => "invalid",
                () if reads.is_empty() || !reads.iter().all(known) => "unknown",
                () => "valid",
            };
            prop_assert_eq!(outcome.verdict.word(), expected, "{}: {}\n{}", model, outcome.reason, text);
        }
    }
}

#[test]
fn two_writers_whose_writes_were_read_both_ways_round_are_found_and_told() {
    let both_ways = [
        "0 write 1",
        "1 write 2",
        "2 read -> 1",
        "3 read -> 2",
        "2 read -> 2",
        "3 read -> 1",
    ];
    assert_eq!(
        told("monotonic-reads", &both_ways),
        "invalid monotonic-reads"
    );
    assert_eq!(told("monotonic-reads", &both_ways[..5]), "valid");
    assert_eq!(told("writes-follow-reads", &both_ways), "valid");
    let own = ["0 write 1", "1 write 2", "0 read -> 2", "1 read -> 1"];
    assert_eq!(told("read-your-writes", &own), "invalid read-your-writes");
    assert_eq!(told("read-your-writes", &own[..3]), "valid");
}
