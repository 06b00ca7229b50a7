//! The weaker levels against their definition: small random histories of registers, and every order of
//! commits.

use shakedown_checker::isolation::{
    Action, Anomaly, Builder, Dictionary, Form, Model, NIL, Options, Outcome, Transactions, View,
    Workload, check, describe,
};

use crate::simulate::Random;

/// Transactions one after the other by a few processes, whose reads are of anything that is written. Before
/// each there are so many of other processes, which have nothing to do with it.
fn random(seed: u64, others: u32) -> Transactions {
    let mut random = Random(seed);
    let (txns, keys) = (2 + random.below(4), 1 + random.below(3));
    let processes = 1 + random.below(3);
    let mut plans: Vec<Vec<(u64, Option<i64>)>> = Vec::new();
    for txn in 0..txns {
        let mut plan = Vec::new();
        for key in 0..keys {
            if random.chance(60) {
                plan.push((key, None));
            }
            if random.chance(50) {
                plan.push((key, Some((txn * 10 + key) as i64)));
            }
        }
        if random.chance(50) {
            plan.sort_by_key(|(key, write)| (std::cmp::Reverse(*key), write.is_some()));
        }
        plans.push(plan);
    }
    let mut builder = Builder::default();
    let mut time = 0..;
    let mut moment = || time.next().unwrap_or_default();
    for (at, plan) in plans.iter().enumerate() {
        for other in 0..others {
            let number = at as u32 * others + other;
            let (called, done) = (moment(), moment());
            builder.begin(0, 100 + i64::from(number), Outcome::Committed, called, done);
            builder.write(10 + number, 0);
        }
        let process = random.below(processes) as i64;
        let outcome = if random.chance(5) {
            Outcome::Open
        } else {
            Outcome::Committed
        };
        let (called, done) = (moment(), moment());
        builder.begin(at as i64, process, outcome, called, done);
        for (key, write) in plan {
            if let Some(value) = write {
                builder.write(*key as u32, *value);
                continue;
            }
            let others = plans.iter().enumerate().filter(|(other, _)| *other != at);
            let writes = others
                .flat_map(|(_, plan)| plan)
                .filter(|(other, _)| other == key);
            let mut choices: Vec<i64> = writes.filter_map(|(_, value)| *value).collect();
            choices.push(NIL);
            let choice = random.below(choices.len() as u64) as usize;
            builder.read_register(*key as u32, choices[choice]);
        }
    }
    builder.finish()
}

/// A transaction as the definition sees it.
struct Abstract {
    process: i64,
    open: bool,
    /// Key and writer (`None`: the initial version), in the order of operations.
    reads: Vec<(u32, Option<usize>)>,
    writes: Vec<u32>,
}

fn writes_of(history: &Transactions, txn: u32) -> Vec<(u32, i64)> {
    let ops = history.ops(txn).iter();
    ops.filter_map(|op| match op.action {
        Action::Write(value) => Some((op.key, value)),
        _ => None,
    })
    .collect()
}

fn reads_of(history: &Transactions, txn: u32) -> Vec<(u32, i64)> {
    let ops = history.ops(txn).iter();
    ops.filter_map(|op| match op.action {
        Action::ReadRegister(value) => Some((op.key, value)),
        _ => None,
    })
    .collect()
}

/// The transactions that happened.
fn abstracted(history: &Transactions) -> Vec<Abstract> {
    let all = 0..history.txns().len() as u32;
    let read: Vec<_> = all.clone().flat_map(|txn| reads_of(history, txn)).collect();
    let happened: Vec<u32> = all
        .filter(|txn| {
            let seen = writes_of(history, *txn)
                .iter()
                .any(|write| read.contains(write));
            seen || history.txn(*txn).outcome == Outcome::Committed
        })
        .collect();
    let writer = |write: &(u32, i64)| {
        happened
            .iter()
            .position(|txn| writes_of(history, *txn).contains(write))
    };
    let abstracted = happened.iter().map(|txn| Abstract {
        process: history.txn(*txn).process,
        open: history.txn(*txn).outcome == Outcome::Open,
        reads: reads_of(history, *txn)
            .iter()
            .map(|read| (read.0, writer(read)))
            .collect(),
        writes: writes_of(history, *txn)
            .iter()
            .map(|(key, _)| *key)
            .collect(),
    });
    abstracted.collect()
}

/// Whether one transaction precedes another in its session. An open one precedes nothing.
fn session(txns: &[Abstract], a: usize, b: usize) -> bool {
    let own = |txn: &&Abstract| txn.process == txns[a].process;
    a < b && own(&&txns[b]) && !txns[a..b].iter().filter(own).any(|txn| txn.open)
}

fn satisfied(txns: &[Abstract], view: View, sessions: bool) -> bool {
    let count = txns.len();
    let direct = |a: usize, b: usize| {
        let reads = txns[b].reads.iter().any(|(_, from)| *from == Some(a));
        (sessions && session(txns, a, b)) || (a != b && reads)
    };
    let row = |a: usize| (0..count).map(|b| direct(a, b)).collect();
    let mut sees: Vec<Vec<bool>> = (0..count).map(row).collect();
    let mut before: Vec<(usize, usize)> = Vec::new();
    for (a, seen_by) in sees.iter().enumerate() {
        before.extend((0..count).filter(|b| seen_by[*b]).map(|b| (a, b)));
    }
    if view == View::Causal {
        for middle in 0..count {
            for a in 0..count {
                for b in 0..count {
                    sees[a][b] |= sees[a][middle] && sees[middle][b];
                }
            }
        }
    }
    for (reader, txn) in txns.iter().enumerate() {
        for (place, (key, from)) in txn.reads.iter().enumerate() {
            for other in (0..count).filter(|other| *other != reader && Some(*other) != *from) {
                let must_see = match view {
                    View::Monotonic => txn.reads[..place].iter().any(|(_, s)| *s == Some(other)),
                    View::Atomic | View::Causal => sees[other][reader],
                };
                if must_see && txns[other].writes.contains(key) {
                    match from {
                        None => return false,
                        Some(from) => before.push((other, *from)),
                    }
                }
            }
        }
    }
    fn orders(left: &[usize], before: &[(usize, usize)]) -> bool {
        left.is_empty()
            || left.iter().any(|next| {
                let rest: Vec<usize> = left.iter().copied().filter(|txn| txn != next).collect();
                let free = !before.iter().any(|(a, b)| b == next && rest.contains(a));
                free && orders(&rest, before)
            })
    }
    orders(&(0..count).collect::<Vec<_>>(), &before)
}

#[test]
fn views_are_violated_exactly_if_no_order_of_commits_is_left() {
    let levels = [
        (Model::SessionCausal, View::Causal, true),
        (Model::SessionReadAtomic, View::Atomic, true),
        (Model::SessionMonotonicAtomicView, View::Monotonic, true),
        (Model::ReadAtomic, View::Atomic, false),
        (Model::MonotonicAtomicView, View::Monotonic, false),
    ];
    let mut seen = [[0; 2]; 5];
    let names = Dictionary::default();
    for seed in 0..6000 {
        let history = random(seed, 0);
        let options = Options::for_model(Model::SessionCausal);
        let report = check(&history, Workload::RwRegister, &names, &options).unwrap();
        let txns = abstracted(&history);
        for (number, (model, view, sessions)) in levels.into_iter().enumerate() {
            let holds = satisfied(&txns, view, sessions);
            let violated = report.violated().contains(model);
            let all = 0..history.txns().len() as u32;
            let shown: Vec<_> = all
                .map(|txn| describe(&history, &names, txn, false))
                .collect();
            let shown = shown.join("\n");
            assert_ne!(
                holds, violated,
                "{model}, {seed}:\n{shown}\n{:?}",
                report.found
            );
            seen[number][usize::from(holds)] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|count| *count > 100), "{seen:?}");
}

#[test]
fn many_other_sessions_change_nothing() {
    let names = Dictionary::default();
    let options = Options::for_model(Model::SessionCausal);
    let views = |history: &Transactions| {
        let report = check(history, Workload::RwRegister, &names, &options).unwrap();
        let found = report.found.keys().copied();
        found
            .filter(|class| matches!(class, Anomaly::View(..)))
            .collect::<Vec<_>>()
    };
    let mut violated = 0;
    for seed in 0..2000 {
        let alone = views(&random(seed, 0));
        assert_eq!(views(&random(seed, 23)), alone, "{seed}");
        violated += usize::from(alone.contains(&Anomaly::View(View::Causal, Form::Process)));
    }
    assert!(violated > 100, "{violated}");
}
