//! Small histories against the definitions: a history is serializable if some serial order explains it,
//! under snapshot isolation if some order of begins and commits does.

use shakedown_checker::isolation::{
    Action, Dictionary, Inference, Model, NONE, Op, Options, Outcome, Transactions, Verdict,
    Workload, check,
};

use crate::simulate::{Level, Random, Setup};

const LEVELS: [Level; 4] = [Level::Strict, Level::Snapshot, Level::Prefix, Level::None];

/// Histories per level and workload; `SHAKEDOWN_ORACLE_CASES` says otherwise.
fn cases() -> u64 {
    let asked = std::env::var("SHAKEDOWN_ORACLE_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(1500)
}

fn small(level: Level, workload: Workload, seed: u64) -> Transactions {
    let mut random = Random(seed);
    let setup = Setup {
        txns: 2 + random.below(3) as usize,
        processes: 2 + random.below(3) as usize,
        active_keys: 1 + random.below(3) as usize,
        seed,
        ..Setup::new(level, workload, 0)
    };
    setup.transactions()
}

/// The state of keys: what was written to each.
type State = Vec<Vec<i64>>;

/// Whether a transaction's reads agree with a state, which its writes then change.
fn explained(history: &Transactions, txn: u32, state: &mut State) -> bool {
    let committed = history.txn(txn).outcome == Outcome::Committed;
    history.ops(txn).iter().all(|Op { key, action }| {
        let written = &mut state[*key as usize];
        match action {
            Action::Write(value) => {
                written.push(*value);
                true
            }
            Action::ReadList(read) => !committed || history.elements(*key, *read) == &written[..],
            Action::ReadRegister(value) => {
                let last = written.last().copied();
                !committed || last.unwrap_or(shakedown_checker::isolation::NIL) == *value
            }
            Action::ReadUnknown => true,
        }
    })
}

/// Whether a value was read by a committed transaction.
fn was_seen(history: &Transactions, txn: u32) -> bool {
    let writes: Vec<(u32, i64)> = history
        .ops(txn)
        .iter()
        .filter_map(|op| match op.action {
            Action::Write(value) => Some((op.key, value)),
            _ => None,
        })
        .collect();
    let committed = (0..history.txns().len() as u32)
        .filter(|other| history.txn(*other).outcome == Outcome::Committed);
    let mut reads = committed.flat_map(|other| history.ops(other));
    reads.any(|op| match op.action {
        Action::ReadList(read) => {
            let elements = history.elements(op.key, read);
            writes
                .iter()
                .any(|(key, value)| *key == op.key && elements.contains(value))
        }
        Action::ReadRegister(value) => writes.contains(&(op.key, value)),
        _ => false,
    })
}

/// The transactions that must be explained: an open one that nobody saw may as well not have been.
fn to_explain(history: &Transactions) -> Vec<u32> {
    let all = 0..history.txns().len() as u32;
    all.filter(|txn| match history.txn(*txn).outcome {
        Outcome::Committed => true,
        Outcome::Aborted => false,
        Outcome::Open => was_seen(history, *txn),
    })
    .collect()
}

/// Whether one transaction must come before another.
type Before<'a> = &'a dyn Fn(u32, u32) -> bool;

/// Whether some serial order that keeps `before` explains the history.
fn serial(history: &Transactions, before: Before<'_>) -> bool {
    fn go(history: &Transactions, before: Before<'_>, left: &[u32], state: &State) -> bool {
        left.is_empty()
            || left.iter().any(|next| {
                let mut state = state.clone();
                let rest: Vec<u32> = left.iter().copied().filter(|txn| txn != next).collect();
                !rest.iter().any(|other| before(*other, *next))
                    && explained(history, *next, &mut state)
                    && go(history, before, &rest, &state)
            })
    }
    let state = vec![Vec::new(); history.keys() as usize];
    go(history, before, &to_explain(history), &state)
}

/// Whether some order of begins and commits explains the history: reads are of the state at the begin,
/// and no two of which neither begins after the other's commit write the same key.
fn snapshot(history: &Transactions) -> bool {
    struct Open {
        txn: u32,
        snapshot: State,
    }
    fn go(history: &Transactions, waiting: &[u32], open: &[Open], state: &State) -> bool {
        if waiting.is_empty() && open.is_empty() {
            return true;
        }
        for (at, txn) in waiting.iter().enumerate() {
            let mut begun: Vec<Open> = open
                .iter()
                .map(|open| Open {
                    txn: open.txn,
                    snapshot: open.snapshot.clone(),
                })
                .collect();
            let mut own = state.clone();
            if !explained(history, *txn, &mut own) {
                continue;
            }
            begun.push(Open {
                txn: *txn,
                snapshot: state.clone(),
            });
            let mut rest = waiting.to_vec();
            rest.remove(at);
            if go(history, &rest, &begun, state) {
                return true;
            }
        }
        for (at, committing) in open.iter().enumerate() {
            let mut state = state.clone();
            let mut first = true;
            for op in history.ops(committing.txn) {
                if let Action::Write(_) = op.action {
                    let key = op.key as usize;
                    first &= committing.snapshot[key].len() == state[key].len();
                }
            }
            if !first {
                continue;
            }
            for op in history.ops(committing.txn) {
                if let Action::Write(value) = op.action {
                    state[op.key as usize].push(value);
                }
            }
            let rest = open.iter().enumerate().filter(|(other, _)| *other != at);
            let rest: Vec<Open> = rest
                .map(|(_, open)| Open {
                    txn: open.txn,
                    snapshot: open.snapshot.clone(),
                })
                .collect();
            if go(history, waiting, &rest, &state) {
                return true;
            }
        }
        false
    }
    let state = vec![Vec::new(); history.keys() as usize];
    go(history, &to_explain(history), &[], &state)
}

fn realtime(history: &Transactions, a: u32, b: u32) -> bool {
    let (a, b) = (history.txn(a), history.txn(b));
    a.completed != NONE && b.invoked != NONE && a.completed < b.invoked
}

fn process(history: &Transactions, a: u32, b: u32) -> bool {
    history.txn(a).process == history.txn(b).process && realtime(history, a, b)
}

fn invalid(history: &Transactions, workload: Workload, options: &Options) -> bool {
    let report = check(history, workload, &Dictionary::default(), options).unwrap();
    report.verdict == Verdict::Invalid
}

fn show(history: &Transactions) -> String {
    let names = Dictionary::default();
    let txns = 0..history.txns().len() as u32;
    let lines = txns.map(|txn| {
        let described = history.txn(txn);
        let text = shakedown_checker::isolation::describe(history, &names, txn, true);
        format!("{}-{}: {text}", described.invoked, described.completed)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn lists_are_serializable_exactly_if_a_serial_order_explains_them() {
    let mut seen = [[0; 2]; 3];
    for level in LEVELS {
        for seed in 0..cases() {
            let history = small(level, Workload::ListAppend, seed);
            let none = |_, _| false;
            let session = |a, b| process(&history, a, b);
            let strict = |a, b| realtime(&history, a, b);
            let orders: [(Model, Before<'_>); 3] = [
                (Model::Serializable, &none),
                (Model::SessionSerializable, &session),
                (Model::StrictSerializable, &strict),
            ];
            for (number, (model, before)) in orders.into_iter().enumerate() {
                let explained = serial(&history, before);
                let found = invalid(&history, Workload::ListAppend, &Options::for_model(model));
                assert_ne!(
                    explained,
                    found,
                    "{model}, {level:?} {seed}:\n{}",
                    show(&history)
                );
                seen[number][usize::from(explained)] += 1;
            }
        }
    }
    assert!(seen.iter().flatten().all(|count| *count > 100), "{seen:?}");
}

#[test]
fn lists_that_snapshots_explain_are_under_snapshot_isolation_and_no_others_if_all_was_read() {
    let mut seen = [0; 2];
    for level in LEVELS {
        for seed in 0..cases() {
            let history = small(level, Workload::ListAppend, seed);
            let options = Options::for_model(Model::SnapshotIsolation);
            let found = invalid(&history, Workload::ListAppend, &options);
            let explained = snapshot(&history);
            if explained {
                assert!(!found, "{level:?} {seed}:\n{}", show(&history));
            }
            let committed = to_explain(&history).into_iter();
            let unread = committed
                .flat_map(|txn| history.ops(txn))
                .any(|op| match op.action {
                    Action::Write(value) => !history.longest(op.key).contains(&value),
                    _ => false,
                });
            // The order of appends that nobody read is not known.
            if !unread {
                assert_ne!(explained, found, "{level:?} {seed}:\n{}", show(&history));
                seen[usize::from(explained)] += 1;
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 30), "{seen:?}");
}

#[test]
fn registers_that_a_serial_order_explains_are_never_invalid() {
    let mut seen = 0;
    for level in LEVELS {
        for seed in 0..cases() {
            let history = small(level, Workload::RwRegister, seed);
            let judge = |model, wfr_keys, sequential_keys, linearizable_keys| {
                let versions = Inference {
                    wfr_keys,
                    sequential_keys,
                    linearizable_keys,
                };
                let options = Options {
                    versions,
                    ..Options::for_model(model)
                };
                let found = invalid(&history, Workload::RwRegister, &options);
                assert!(
                    !found,
                    "{model}, {versions:?}, {level:?} {seed}:\n{}",
                    show(&history)
                );
            };
            if serial(&history, &|_, _| false) {
                judge(Model::Serializable, true, false, false);
                seen += 1;
            }
            if serial(&history, &|a, b| process(&history, a, b)) {
                judge(Model::SessionSerializable, true, true, false);
            }
            if serial(&history, &|a, b| realtime(&history, a, b)) {
                judge(Model::StrictSerializable, true, true, true);
            }
        }
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn large_histories_of_a_database_satisfy_the_model_it_has_and_no_stronger_one() {
    let models = [
        (Level::Strict, Some(Model::StrictSerializable), None),
        (
            Level::Snapshot,
            Some(Model::StrongSnapshotIsolation),
            Some(Model::Serializable),
        ),
        (Level::None, None, Some(Model::ReadCommitted)),
    ];
    for (level, satisfied, violated) in models {
        let history = Setup::new(level, Workload::ListAppend, 3000).transactions();
        let verdict = |model| invalid(&history, Workload::ListAppend, &Options::for_model(model));
        assert!(!satisfied.is_some_and(verdict), "{level:?}");
        assert!(violated.is_none_or(verdict), "{level:?}");
    }
}
