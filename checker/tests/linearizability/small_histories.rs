//! On small random histories, the special algorithms, the search and the oracle agree.
//!
//! A few thousand histories per type; `SHAKEDOWN_LINEARIZABILITY_HISTORIES` says how many instead.

use std::sync::Arc;

use shakedown_checker::linearizability::models::{
    AppendText, Bag, Counter, CounterOp, FifoQueue, MultiRegister, Mutex, MutexOp, NIL, PutTake,
    Register, RegisterOp, Set, SetOp, Stack, TextOp, TxnOp, TxnStep,
};
use shakedown_checker::linearizability::{
    History, Limits, Model, Verdict, check, check_by_search, explain,
};

use crate::oracle::is_linearizable;
use crate::random::{Kind, Random, Shape, history};

fn histories() -> u64 {
    std::env::var("SHAKEDOWN_LINEARIZABILITY_HISTORIES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(3_000)
}

/// What came of all histories of a type.
#[derive(Default, Debug)]
struct Tally {
    linearizable: u64,
    not: u64,
    by_shortcut: u64,
    not_by_shortcut: u64,
}

fn agree<M: Model>(kind: &Kind<M>, seed: u64) -> Tally {
    let mut tally = Tally::default();
    for round in 0..histories() {
        let mut random = Random(seed << 32 | round);
        let shape = Shape {
            operations: 2 + random.below(7) as usize,
            clients: 2 + random.below(3),
            open: [0, 0, 15, 40][random.below(4) as usize],
            wrong: [0, 5, 20, 100][random.below(4) as usize],
        };
        let history = history(kind, shape, &mut random);
        let expected = is_linearizable(&kind.model, &history);
        let limits = Limits::default();
        let seen = format!("seed {seed} round {round}: {:#?}", history.operations());
        let searched = check_by_search(&kind.model, &history, &limits);
        assert_eq!(
            searched.verdict == Verdict::Linearizable,
            expected,
            "search: {seen}"
        );
        let in_breadth = Limits {
            in_depth: Some(1),
            ..limits
        };
        let verdict = check_by_search(&kind.model, &history, &in_breadth).verdict;
        assert_eq!(
            verdict == Verdict::Linearizable,
            expected,
            "in breadth: {seen}"
        );
        let checked = check(&kind.model, &history, &limits);
        assert_eq!(
            checked.verdict == Verdict::Linearizable,
            expected,
            "{}: {seen}",
            checked.method
        );
        let shortcut = u64::from(kind.model.shortcut(&history).is_some());
        if expected {
            tally.linearizable += 1;
            tally.by_shortcut += shortcut;
        } else {
            tally.not += 1;
            tally.not_by_shortcut += shortcut;
            for checked in [&searched, &checked] {
                let Verdict::NotLinearizable(violation) = &checked.verdict else {
                    panic!("no verdict: {seen}");
                };
                assert!(violation.shortest, "{seen}");
                the_prefix_is_shortest(&kind.model, &history, violation.returning, &seen);
                let text = explain(&kind.model, &history, violation, &|value| value.to_string());
                assert!(text.operations.iter().any(|one| one.stuck), "{seen}");
            }
        }
    }
    println!("{tally:?}");
    // The histories are no use if all are of one sort.
    assert!(tally.linearizable > histories() / 10, "{tally:?}");
    assert!(tally.not > histories() / 10, "{tally:?}");
    tally
}

fn the_prefix_is_shortest<M: Model>(
    model: &M,
    history: &History<M::Op>,
    returning: usize,
    seen: &str,
) {
    let ret = history.operations()[returning].ret;
    let until = |end| history.prefix(end, |op| model.without_answer(op)).0;
    assert!(
        !is_linearizable(model, &until(ret)),
        "prefix to {ret}: {seen}"
    );
    assert!(
        is_linearizable(model, &until(ret - 1)),
        "prefix before {ret}: {seen}"
    );
}

fn register(make: fn(&mut Random, i64) -> RegisterOp) -> Kind<Register> {
    Kind {
        model: Register { initial: 0 },
        make,
        answer: |op, &state| match *op {
            RegisterOp::Read(_) => RegisterOp::Read(state),
            RegisterOp::Cas { from, .. } | RegisterOp::NotEqual(from) if from != state => {
                RegisterOp::NotEqual(from)
            }
            op => op,
        },
    }
}

#[test]
fn registers_with_distinct_values() {
    let kind = register(|random, number| match random.below(2) {
        0 => RegisterOp::Read(random.below(number as u64 + 2) as i64),
        _ => RegisterOp::Write(number),
    });
    let tally = agree(&kind, 1);
    assert_eq!(tally.by_shortcut + tally.not_by_shortcut, histories());
}

#[test]
fn registers_with_values_written_again() {
    agree(
        &register(|random, _| match random.below(2) {
            0 => RegisterOp::Read(random.below(3) as i64),
            _ => RegisterOp::Write(random.below(3) as i64),
        }),
        2,
    );
}

#[test]
fn registers_with_compare_and_set() {
    agree(
        &register(|random, _| match random.below(4) {
            0 => RegisterOp::Read(random.below(3) as i64),
            1 => RegisterOp::Write(random.below(3) as i64),
            2 => RegisterOp::NotEqual(random.below(3) as i64),
            _ => RegisterOp::Cas {
                from: random.below(3) as i64,
                to: random.below(3) as i64,
            },
        }),
        3,
    );
}

#[test]
fn several_registers_at_once() {
    let kind = Kind {
        model: MultiRegister {
            initial: vec![(0, 0)],
        },
        make: |random, _| {
            let steps = (0..1 + random.below(2)).map(|_| {
                let (key, value) = (random.below(2) as i64, random.below(2) as i64);
                match random.below(2) {
                    0 => TxnStep::Read(key, value),
                    _ => TxnStep::Write(key, value),
                }
            });
            TxnOp(steps.collect())
        },
        answer: |op, state| {
            let mut state = state.clone();
            let steps = op.0.iter().map(|&step| match step {
                TxnStep::Read(key, _) => {
                    let value = state.iter().find(|entry| entry.0 == key);
                    TxnStep::Read(key, value.map_or(NIL, |entry| entry.1))
                }
                TxnStep::Write(key, value) => {
                    state.retain(|entry| entry.0 != key);
                    state.push((key, value));
                    step
                }
            });
            TxnOp(steps.collect())
        },
    };
    agree(&kind, 4);
}

#[test]
fn mutexes() {
    let kind = Kind {
        model: Mutex,
        make: |random, _| match random.below(2) {
            0 => MutexOp::Acquire,
            _ => MutexOp::Release,
        },
        answer: |op, _| *op,
    };
    agree(&kind, 5);
}

#[test]
fn counters() {
    let kind = Kind {
        model: Counter,
        make: |random, _| match random.below(3) {
            0 => CounterOp::Add(random.below(3) as i64),
            1 => CounterOp::Read(random.below(4) as i64),
            _ => CounterOp::AddAndGet(1, random.below(4) as i64),
        },
        answer: |op, &state| match *op {
            CounterOp::Add(delta) => CounterOp::Add(delta),
            CounterOp::Read(_) => CounterOp::Read(state),
            CounterOp::AddAndGet(delta, _) => CounterOp::AddAndGet(delta, state + delta),
        },
    };
    agree(&kind, 6);
}

fn set(make: fn(&mut Random, i64) -> SetOp) -> Kind<Set> {
    Kind {
        model: Set,
        make,
        answer: |op, state| {
            let has = |value: &i64| state.contains(value);
            match op {
                SetOp::Add { value, new } => SetOp::Add {
                    value: *value,
                    new: new.map(|_| !has(value)),
                },
                SetOp::Remove { value, found } => SetOp::Remove {
                    value: *value,
                    found: found.map(|_| has(value)),
                },
                SetOp::Contains { value, .. } => SetOp::Contains {
                    value: *value,
                    found: has(value),
                },
                SetOp::ReadAll(_) => SetOp::ReadAll(state.clone()),
            }
        },
    }
}

fn answer(random: &mut Random) -> Option<bool> {
    [None, Some(false), Some(true), Some(true)][random.below(4) as usize]
}

#[test]
fn sets_with_elements_added_and_removed_once() {
    let tally = agree(
        &set(|random, number| {
            let earlier = random.below(number as u64) as i64 / 2 * 2 + 1;
            match random.below(4) {
                0 | 1 if number % 2 == 1 => SetOp::Add {
                    value: number,
                    new: [None, Some(true)][random.below(2) as usize],
                },
                0 => SetOp::Remove {
                    value: earlier,
                    found: Some(true),
                },
                _ => SetOp::Contains {
                    value: earlier,
                    found: random.chance(50),
                },
            }
        }),
        7,
    );
    assert!(tally.by_shortcut > histories() / 10, "{tally:?}");
    assert!(tally.not_by_shortcut > histories() / 10, "{tally:?}");
}

#[test]
fn sets_with_elements_added_again() {
    agree(
        &set(|random, _| {
            let value = random.below(2) as i64;
            match random.below(3) {
                0 => SetOp::Add {
                    value,
                    new: answer(random),
                },
                1 => SetOp::Remove {
                    value,
                    found: answer(random),
                },
                _ => SetOp::Contains {
                    value,
                    found: random.chance(50),
                },
            }
        }),
        8,
    );
}

#[test]
fn sets_read_as_a_whole() {
    agree(
        &set(|random, _| {
            let value = random.below(2) as i64;
            match random.below(3) {
                0 => SetOp::Add {
                    value,
                    new: answer(random),
                },
                1 => SetOp::Remove {
                    value,
                    found: answer(random),
                },
                _ => SetOp::ReadAll((0..random.below(3) as i64).collect()),
            }
        }),
        9,
    );
}

fn distinct(random: &mut Random, number: i64) -> PutTake {
    match random.below(8) {
        0..4 => PutTake::Put(number),
        4..7 => PutTake::Take(1 + random.below(number as u64 + 1) as i64),
        _ => PutTake::Empty,
    }
}

fn ordered_only(random: &mut Random, number: i64) -> PutTake {
    match random.below(2) {
        0 => PutTake::Put(number),
        _ => PutTake::Take(1 + random.below(number as u64) as i64),
    }
}

fn again(random: &mut Random, _: i64) -> PutTake {
    match random.below(8) {
        0..4 => PutTake::Put(random.below(3) as i64),
        4..7 => PutTake::Take(random.below(3) as i64),
        _ => PutTake::Empty,
    }
}

fn take(op: &PutTake, next: Option<&i64>) -> PutTake {
    match (op, next) {
        (PutTake::Put(_), _) => *op,
        (_, None) => PutTake::Empty,
        (_, Some(&value)) => PutTake::Take(value),
    }
}

macro_rules! collections {
    ($($name:ident $model:expr, $end:ident, $seed:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn with_distinct_values() {
                let kind = Kind { model: $model, make: distinct, answer: |op, state| take(op, state.$end()) };
                let tally = agree(&kind, $seed);
                assert!(tally.by_shortcut > histories() / 10, "{tally:?}");
                assert!(tally.not_by_shortcut > histories() / 10, "{tally:?}");
            }

            #[test]
            fn with_distinct_values_only_put_and_taken() {
                let kind = Kind { model: $model, make: ordered_only, answer: |op, state| take(op, state.$end()) };
                agree(&kind, $seed + 1);
            }

            #[test]
            fn with_values_put_again() {
                let kind = Kind { model: $model, make: again, answer: |op, state| take(op, state.$end()) };
                agree(&kind, $seed + 2);
            }
        }
    )*};
}

collections! {
    unordered_queues Bag, first, 20;
    fifo_queues FifoQueue, first, 30;
    stacks Stack, last, 40;
}

fn text(make: fn(&mut Random, i64) -> TextOp) -> Kind<AppendText> {
    Kind {
        model: AppendText,
        make,
        answer: |op, state| match op {
            TextOp::Get(_) => TextOp::Get(state.clone()),
            op => op.clone(),
        },
    }
}

fn piece(number: i64) -> Arc<str> {
    Arc::from(format!("{number};"))
}

#[test]
fn texts_with_distinct_pieces() {
    let tally = agree(
        &text(|random, number| match random.below(8) {
            0..3 => TextOp::Append(piece(number)),
            3 => TextOp::Put(piece(number)),
            _ => {
                let mut seen = String::new();
                for _ in 0..random.below(3) {
                    seen += &piece(1 + random.below(number as u64 + 1) as i64);
                }
                TextOp::Get(Arc::from(seen))
            }
        }),
        50,
    );
    assert_eq!(tally.by_shortcut + tally.not_by_shortcut, histories());
}

#[test]
fn texts_with_pieces_written_again() {
    agree(
        &text(|random, _| match random.below(4) {
            0 | 1 => TextOp::Append(piece(random.below(2) as i64)),
            2 => TextOp::Put(piece(random.below(2) as i64)),
            _ => TextOp::Get(piece(random.below(2) as i64)),
        }),
        51,
    );
}

#[test]
fn texts_put_and_appended_once_each() {
    let tally = agree(
        &text(|random, number| match random.below(8) {
            0..3 => TextOp::Append(piece(number / 2)),
            3 if number % 2 == 0 => TextOp::Put(piece(number / 2)),
            _ => TextOp::Get(piece(random.below(number as u64 + 1) as i64 / 2)),
        }),
        52,
    );
    assert!(tally.not_by_shortcut > 0, "{tally:?}");
}

#[test]
fn texts_appended_again_one_after_the_other() {
    let tally = agree(
        &text(|random, number| match random.below(8) {
            0..4 => TextOp::Append(piece(number / 3)),
            4 => TextOp::Put(piece(number)),
            _ => TextOp::Get(piece(random.below(number as u64 + 1) as i64)),
        }),
        53,
    );
    assert!(
        tally.by_shortcut > 0 && tally.not_by_shortcut > 0,
        "{tally:?}"
    );
}
