//! One anomaly of each class, planted in a valid history, is found by the special algorithm and by the
//! search, at the operation that shows it; without it the history is linearizable.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use shakedown_checker::linearizability::models::{
    AppendText, Bag, Counter, CounterOp, FifoQueue, Mutex, MutexOp, PutTake, Register, RegisterOp,
    Set, SetOp, Stack, TextOp,
};
use shakedown_checker::linearizability::{
    History, HistoryBuilder, Keyed, Limits, Model, OPEN, Operation, OrderError, Reason, Verdict,
    check, check_by_search, check_keyed, draw, explain, overall,
};

/// One operation after the other; two clients in turn.
fn one_by_one<O: Clone>(ops: &[O]) -> History<O> {
    let mut builder = HistoryBuilder::default();
    for (process, op) in (0..).zip(ops) {
        let called = builder.call(process % 2, op.clone());
        builder.ret(called, op.clone());
    }
    builder.finish()
}

/// All operations at the same time.
fn at_once<O: Clone>(ops: &[O]) -> History<O> {
    let mut builder = HistoryBuilder::default();
    let calls: Vec<_> = (0..)
        .zip(ops)
        .map(|(process, op)| builder.call(process, op.clone()))
        .collect();
    for (called, op) in calls.into_iter().zip(ops) {
        builder.ret(called, op.clone());
    }
    builder.finish()
}

/// `ops` are valid but for the one at `bad`; the same operations without it are valid.
fn caught<M: Model>(model: &M, ops: &[M::Op], bad: usize) {
    let limits = Limits::default();
    let mut valid = ops.to_vec();
    valid.remove(bad);
    assert_eq!(
        check(model, &one_by_one(&valid), &limits).verdict,
        Verdict::Linearizable
    );
    let history = one_by_one(ops);
    for checked in [
        check(model, &history, &limits),
        check_by_search(model, &history, &limits),
    ] {
        let Verdict::NotLinearizable(violation) = checked.verdict else {
            panic!("{}: {:?}", checked.method, checked.verdict);
        };
        assert_eq!(violation.returning, bad, "{}", checked.method);
        assert!(violation.shortest);
    }
}

use PutTake::{Empty, Put, Take};
use RegisterOp::{Cas, NotEqual, Read, Write};

#[test]
fn registers() {
    let register = Register { initial: 0 };
    // A stale read, a value from nowhere, a value from the future.
    caught(
        &register,
        &[Write(1), Write(2), Read(2), Read(1), Read(2)],
        3,
    );
    caught(&register, &[Write(1), Read(7), Read(1)], 1);
    caught(&register, &[Read(0), Read(1), Write(1)], 1);
    // Two clients won the same comparison; one lost it though the value was there.
    let cas = Cas { from: 0, to: 1 };
    caught(&register, &[cas, cas, Read(1)], 1);
    caught(&register, &[Write(1), NotEqual(1), NotEqual(2)], 1);
    let all = [Write(1), Write(2), Read(2), Read(1)];
    let together = check(&register, &at_once(&all), &Limits::default());
    assert_eq!(together.verdict, Verdict::Linearizable);
}

#[test]
fn locks_and_counters() {
    use MutexOp::{Acquire, Release};
    caught(&Mutex, &[Acquire, Release, Acquire, Acquire], 3);
    caught(&Mutex, &[Acquire, Release, Release, Acquire], 2);
    let add = CounterOp::Add(2);
    caught(
        &Counter,
        &[add, add, CounterOp::Read(2), CounterOp::Read(4)],
        2,
    );
    caught(
        &Counter,
        &[add, CounterOp::AddAndGet(1, 4), CounterOp::Read(2)],
        1,
    );
}

#[test]
fn sets() {
    let add = |value| SetOp::Add { value, new: None };
    let remove = |value, found| SetOp::Remove {
        value,
        found: Some(found),
    };
    let contains = |value, found| SetOp::Contains { value, found };
    // Lost, resurrected, from nowhere, removed twice.
    caught(&Set, &[add(1), contains(1, true), contains(1, false)], 2);
    caught(&Set, &[add(1), remove(1, true), contains(1, true)], 2);
    caught(&Set, &[add(1), contains(2, true)], 1);
    caught(&Set, &[add(1), remove(1, true), remove(1, true), add(2)], 2);
    let whole = |values: &[i64]| SetOp::ReadAll(values.into());
    caught(&Set, &[add(1), add(2), whole(&[2]), whole(&[1, 2])], 2);
}

#[test]
fn queues_and_stacks() {
    // From nowhere, taken twice, a false "empty".
    let nowhere = [Put(1), Take(2), Take(1)];
    let twice = [Put(1), Take(1), Take(1), Put(2)];
    let empty = [Put(1), Empty, Take(1), Empty];
    caught(&Bag, &nowhere, 1);
    caught(&Bag, &twice, 2);
    caught(&Bag, &empty, 1);
    caught(&FifoQueue, &nowhere, 1);
    caught(&FifoQueue, &twice, 2);
    caught(&FifoQueue, &empty, 1);
    caught(&Stack, &nowhere, 1);
    caught(&Stack, &twice, 2);
    caught(&Stack, &empty, 1);
    // In the wrong order; a value left behind.
    let forwards = [Put(1), Put(2), Take(1)];
    let backwards = [Put(1), Put(2), Take(2)];
    caught(&Stack, &forwards, 2);
    caught(&FifoQueue, &backwards, 2);
    let both = check(&Bag, &one_by_one(&forwards), &Limits::default());
    assert_eq!(both.verdict, Verdict::Linearizable);
}

#[test]
fn texts() {
    let get = |text: &str| TextOp::Get(Arc::from(text));
    let append = |text: &str| TextOp::Append(Arc::from(text));
    let put = |text: &str| TextOp::Put(Arc::from(text));
    // Lost, out of order, twice, stale, garbage.
    caught(
        &AppendText,
        &[append("a"), append("b"), get("a"), get("ab")],
        2,
    );
    caught(
        &AppendText,
        &[append("a"), append("b"), get("ba"), get("ab")],
        2,
    );
    caught(&AppendText, &[append("a"), get("aa"), get("a")], 1);
    caught(&AppendText, &[append("a"), put("c"), get("a"), get("c")], 2);
    caught(&AppendText, &[append("a"), get("ax"), get("a")], 1);
}

#[test]
fn a_write_without_answer_may_act_late_or_never_but_not_twice() {
    let register = Register { initial: 0 };
    let history = |reads: &[i64]| {
        let mut builder = HistoryBuilder::default();
        builder.call(9, Write(1));
        for &read in reads {
            let called = builder.call(0, Read(read));
            builder.ret(called, Read(read));
            let called = builder.call(0, Write(2));
            builder.ret(called, Write(2));
        }
        builder.finish()
    };
    let verdict = |reads: &[i64]| check(&register, &history(reads), &Limits::default()).verdict;
    assert_eq!(verdict(&[0, 2, 2]), Verdict::Linearizable);
    assert_eq!(verdict(&[1, 2, 2]), Verdict::Linearizable);
    assert_eq!(verdict(&[0, 2, 1]), Verdict::Linearizable);
    assert_ne!(verdict(&[0, 1, 1]), Verdict::Linearizable);
}

#[test]
fn keys_are_judged_one_by_one() {
    let keyed = |key, op| Keyed { key, op };
    let history = one_by_one(&[
        keyed(1, Write(1)),
        keyed(2, Write(2)),
        keyed(1, Read(1)),
        keyed(2, Read(0)),
    ]);
    for threads in [1, 3] {
        let limits = Limits {
            threads,
            ..Limits::default()
        };
        let keys = check_keyed(&Register { initial: 0 }, &history, &limits);
        let found: Vec<_> = keys
            .iter()
            .map(|key| (key.key, key.checked.verdict == Verdict::Linearizable))
            .collect();
        assert_eq!(found, [(1, true), (2, false)]);
        assert_eq!(overall(&keys).map(|key| key.key), Some(2));
    }
}

/// Nothing but a search, and a long one, shows that this is not linearizable.
fn hard() -> History<CounterOp> {
    let mut ops: Vec<_> = (0..18).map(|bit| CounterOp::Add(1 << bit)).collect();
    ops.push(CounterOp::Read(1 << 20));
    at_once(&ops)
}

#[test]
fn a_bound_makes_the_answer_unknown_and_is_named() {
    let unknown = |limits: &Limits<'_>| match check(&Counter, &hard(), limits).verdict {
        Verdict::Unknown(reason) => reason,
        verdict => panic!("{verdict:?}"),
    };
    let limit_bytes = 1 << 20;
    let memory = unknown(&Limits {
        memory_bytes: limit_bytes,
        ..Limits::default()
    });
    assert_eq!(memory, Reason::Memory { limit_bytes });
    assert!(memory.to_string().contains("1048576 bytes"));
    let time = unknown(&Limits {
        time: Some(Duration::ZERO),
        ..Limits::default()
    });
    assert_eq!(time, Reason::Time);
    let stop = |_| ControlFlow::Break(());
    let stopped = unknown(&Limits {
        progress: Some(&stop),
        ..Limits::default()
    });
    assert_eq!(stopped, Reason::Stopped);
}

#[test]
fn an_unknown_key_does_not_hide_a_bad_one() {
    let mut operations: Vec<Operation<Keyed<CounterOp>>> = Vec::new();
    for operation in hard().operations() {
        operations.push(Operation {
            op: Keyed {
                key: 1,
                op: operation.op,
            },
            process: operation.process,
            call: operation.call,
            ret: operation.ret,
            index: operation.index,
        });
    }
    let mut limits = Limits {
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    let history = History::new(operations.clone()).unwrap();
    let keys = check_keyed(&Counter, &history, &limits);
    assert_eq!(overall(&keys).map(|key| key.key), Some(1));
    operations.push(Operation {
        op: Keyed {
            key: 2,
            op: CounterOp::Read(5),
        },
        process: 99,
        call: 1000,
        ret: 1001,
        index: 99,
    });
    let history = History::new(operations).unwrap();
    limits.threads = 2;
    let keys = check_keyed(&Counter, &history, &limits);
    assert_eq!(overall(&keys).map(|key| key.key), Some(2));
}

#[test]
fn a_violation_is_told_and_drawn() {
    let register = Register { initial: 0 };
    let history = one_by_one(&[Write(1), Write(2), Read(1)]);
    let Verdict::NotLinearizable(violation) =
        check(&register, &history, &Limits::default()).verdict
    else {
        panic!("it is not linearizable");
    };
    let told = explain(&register, &history, &violation, &|value| {
        format!("<{value}>")
    });
    let words = told.to_string();
    assert!(words.contains("\"read <1>\" of process 0"), "{words}");
    assert!(
        words.contains("#2 process 0, events 4 to 5: read <1>  <- cannot return"),
        "{words}"
    );
    assert!(
        words.contains("#1 process 1, events 2 to 3: write <2>  <- in conflict"),
        "{words}"
    );
    assert!(words.contains("state <2>"), "{words}");
    let svg = draw(&told);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(
        svg.contains("read &lt;1&gt;") && !svg.contains("<1>"),
        "{svg}"
    );
}

#[test]
fn events_must_be_in_an_order() {
    let operation = |call, ret| Operation {
        op: Write(1),
        process: 0,
        call,
        ret,
        index: 0,
    };
    let error = |operations| History::new(operations).unwrap_err();
    assert_eq!(
        error(vec![operation(3, 2)]),
        OrderError::ReturnBeforeCall {
            index: 0,
            call: 3,
            ret: 2
        }
    );
    assert_eq!(
        error(vec![operation(0, 2), operation(2, OPEN)]),
        OrderError::SameMoment(2)
    );
}

#[test]
fn a_violation_in_a_long_history_is_shown_by_the_values_in_conflict() {
    let mut ops: Vec<_> = (1..=70_000)
        .flat_map(|value| [Write(value), Read(value)])
        .collect();
    let bad = ops.len() - 1_000;
    ops.insert(bad, Read(17));
    let history = one_by_one(&ops);
    let checked = check(&Register { initial: 0 }, &history, &Limits::default());
    let Verdict::NotLinearizable(violation) = checked.verdict else {
        panic!("{:?}", checked.verdict);
    };
    assert_eq!(violation.returning, bad);
    assert!(violation.shortest && violation.of_conflict);
    let returning = |found: &shakedown_checker::linearizability::Final<i64>| found.waiting == [bad];
    assert!(!violation.finals.is_empty() && violation.finals.iter().all(returning));
}

#[test]
fn the_first_of_many_violations_is_found() {
    // From 1,000 on, every read is stale.
    let stale = |value: i64| if value < 1_000 { value } else { value - 1 };
    let ops: Vec<_> = (1..=20_000)
        .flat_map(|value| [Write(value), Read(stale(value))])
        .collect();
    let checked = check(
        &Register { initial: 0 },
        &one_by_one(&ops),
        &Limits::default(),
    );
    let Verdict::NotLinearizable(violation) = checked.verdict else {
        panic!("{:?}", checked.verdict);
    };
    assert_eq!(violation.returning, 2 * 999 + 1);
    assert!(violation.shortest && !violation.of_conflict);
}
