//! Registers that are linearizable each: versions are cyclic exactly if no order of them agrees with real time.
//!
//! Elle's `:cyclic-versions` comes at times from a union of sets that changes the sets it unites: what one
//! transaction's successors met then counts as met after another, too.

use std::collections::{BTreeMap, BTreeSet};

use shakedown_checker::clock::Clock;
use shakedown_checker::import::transactions;
use shakedown_checker::isolation::{
    Anomaly, Builder, Dictionary, Inference, Model, NIL, Options, Outcome, Report, Transactions,
    Verdict, Workload, check, describe,
};

use crate::simulate::Random;

fn options() -> Options {
    Options {
        models: vec![Model::Serializable],
        versions: Inference {
            linearizable_keys: true,
            ..Inference::default()
        },
        ..Options::default()
    }
}

fn judge(history: &Transactions, names: &Dictionary) -> Report {
    check(history, Workload::RwRegister, names, &options()).unwrap()
}

fn told(events: &[(&str, u32, &str)]) -> Report {
    let line = |(kind, process, value): &(&str, u32, &str)| {
        format!("{{:type :{kind}, :f :txn, :process {process}, :value {value}}}\n")
    };
    let text: String = events.iter().map(line).collect();
    let workload = Workload::RwRegister;
    let read = transactions::read(&text, workload, usize::MAX, Clock::default()).unwrap();
    judge(&read.history, &read.names)
}

#[test]
fn elles_false_cyclic_versions_are_valid() {
    // The first transaction precedes three at once: one read nil, one wrote 4, one met nothing, so that what
    // comes after it is the set of what the fifth precedes, {4}. If uniting that with {nil} changes it, nil
    // comes after 4; and it comes before. But nil, 4 is an order of versions that agrees with real time.
    let mut events = [
        ("invoke", 0, "[]"),
        ("ok", 0, "[]"),
        ("invoke", 0, "[[:r 1 nil]]"),
        ("invoke", 1, "[[:w 1 4]]"),
        ("invoke", 2, "[]"),
        ("ok", 0, "[[:r 1 nil]]"),
        ("ok", 1, "[[:w 1 4]]"),
        ("ok", 2, "[]"),
        ("invoke", 0, "[]"),
        ("ok", 0, "[]"),
        ("invoke", 0, "[[:r 1 nil]]"),
        ("ok", 0, "[[:r 1 4]]"),
    ];
    let report = told(&events);
    assert_eq!(report.verdict, Verdict::Valid, "{:?}", report.found);
    assert!(report.found.is_empty(), "{:?}", report.found);
    // Where nil is read after 4 was, there is none.
    events[5] = ("ok", 0, "[[:r 1 4]]");
    events[11] = ("ok", 0, "[[:r 1 nil]]");
    let report = told(&events);
    assert!(report.found.contains_key(&Anomaly::CyclicVersions));
}

/// One transaction and one register: the version met first, and last.
struct Met {
    key: u32,
    first: i64,
    last: i64,
    called: u32,
    done: u32,
}

/// Transactions of up to one read and then one write of each of two registers, some of which meet none.
fn random(seed: u64) -> (Transactions, Vec<Met>) {
    let mut random = Random(seed);
    let txns = 3 + random.below(4) as i64;
    let keys = 1 + random.below(2) as u32;
    let mut moments: Vec<u32> = (0..2 * txns as u32).collect();
    for at in (1..moments.len()).rev() {
        // Mostly near its place, so that real time says something.
        let near = at.saturating_sub(1 + random.below(4) as usize);
        moments.swap(at, near);
    }
    let mut builder = Builder::default();
    let mut met = Vec::new();
    for txn in 0..txns {
        let pair = [moments[2 * txn as usize], moments[2 * txn as usize + 1]];
        let (called, done) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
        builder.begin(txn, txn, Outcome::Committed, called, done);
        for key in 0..keys {
            // Versions of a register are the transactions that write it: those of even number, or all.
            let writer = random.below(txns as u64) as i64;
            let read = match random.below(3) {
                0 => None,
                1 => Some(NIL),
                _ => Some(writer),
            };
            let read = read.filter(|version| *version != txn);
            let write = random.chance(40).then_some(txn);
            if let Some(version) = read {
                builder.read_register(key, version);
            }
            if let Some(version) = write {
                builder.write(key, version);
            }
            if let Some(first) = read.or(write) {
                let last = write.or(read).unwrap_or(first);
                met.push(Met {
                    key,
                    first,
                    last,
                    called,
                    done,
                });
            }
        }
    }
    (builder.finish(), met)
}

/// Whether some order of a register's versions, the initial one first, agrees with real time.
fn has_order(met: &[&Met]) -> bool {
    fn go(left: &BTreeSet<i64>, before: &BTreeSet<(i64, i64)>) -> bool {
        left.is_empty()
            || left.iter().any(|next| {
                let free = !left.iter().any(|other| before.contains(&(*other, *next)));
                let rest: BTreeSet<i64> = left.iter().copied().filter(|one| one != next).collect();
                free && go(&rest, before)
            })
    }
    let versions: BTreeSet<i64> = met.iter().flat_map(|one| [one.first, one.last]).collect();
    let initial = versions.iter().filter(|version| **version != NIL);
    let mut before: BTreeSet<(i64, i64)> = initial.map(|version| (NIL, *version)).collect();
    for one in met {
        for other in met.iter().filter(|other| one.done < other.called) {
            if one.last != other.first {
                before.insert((one.last, other.first));
            }
        }
    }
    go(&versions, &before)
}

#[test]
fn versions_are_cyclic_exactly_if_no_order_of_them_agrees_with_real_time() {
    let asked = std::env::var("SHAKEDOWN_ORACLE_CASES").ok();
    let cases = asked.map_or(6000, |cases| cases.parse().unwrap());
    let mut seen = [0; 2];
    for seed in 0..cases {
        let (history, met) = random(seed);
        let mut by_key: BTreeMap<u32, Vec<&Met>> = BTreeMap::new();
        for one in &met {
            by_key.entry(one.key).or_default().push(one);
        }
        let possible = by_key.values().all(|of_key| has_order(of_key));
        let report = judge(&history, &Dictionary::default());
        let found = report.found.contains_key(&Anomaly::CyclicVersions);
        let all = 0..history.txns().len() as u32;
        let shown: Vec<String> = all
            .map(|txn| {
                let times = history.txn(txn);
                let does = describe(&history, &Dictionary::default(), txn, false);
                format!("{} to {}: {does}", times.invoked, times.completed)
            })
            .collect();
        assert_ne!(possible, found, "{seed}:\n{}", shown.join("\n"));
        seen[usize::from(found)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
}
