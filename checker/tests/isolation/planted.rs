//! An anomaly of each class, planted into a valid history, is found and named.

use std::collections::BTreeSet;

use shakedown_checker::clock::Clock;
use shakedown_checker::import::transactions;
use shakedown_checker::isolation::{
    Anomaly, Form, Inference, Model, Options, Report, Verdict, Workload, check,
};

use crate::simulate::{Level, Setup};

/// Events of transactions: kind, process, transaction.
type Events = Vec<(&'static str, i64, &'static str)>;

/// Transactions of processes of their own, all at the same time.
fn together(txns: &[&'static str]) -> Events {
    let begun = txns
        .iter()
        .enumerate()
        .map(|(at, txn)| ("invoke", 100 + at as i64, *txn));
    let done = txns
        .iter()
        .enumerate()
        .map(|(at, txn)| ("ok", 100 + at as i64, *txn));
    begun.chain(done).collect()
}

/// The first two one after the other, in one process or two; the rest all the while.
fn in_order(txns: &[&'static str], form: Form) -> Events {
    let second = if form == Form::Process { 1 } else { 2 };
    let ordered = [
        ("invoke", 1, txns[0]),
        ("ok", 1, txns[0]),
        ("invoke", second, txns[1]),
        ("ok", second, txns[1]),
    ];
    let ordered = ordered.map(|(kind, process, txn)| (kind, 90 + process, txn));
    let rest = txns[2..].iter().enumerate();
    let mut events: Events = rest
        .clone()
        .map(|(at, txn)| ("invoke", 100 + at as i64, *txn))
        .collect();
    events.extend(ordered);
    events.extend(rest.map(|(at, txn)| ("ok", 100 + at as i64, *txn)));
    events
}

fn judge(workload: Workload, planted: &Events, options: &Options) -> Report {
    let mut text = String::new();
    let setup = Setup::new(Level::Strict, workload, 300);
    let mut lines = 0;
    let insert = |text: &mut String| {
        for (kind, process, value) in planted {
            text.push_str(&format!(
                "{{:type :{kind}, :process {process}, :value [{value}]}}\n"
            ));
        }
    };
    setup.edn(|line| {
        text.push_str(line);
        lines += 1;
        if lines == 300 {
            insert(&mut text);
        }
    });
    let imported = transactions::read(&text, workload, usize::MAX, Clock::default()).unwrap();
    check(&imported.history, workload, &imported.names, options).unwrap()
}

fn names(report: &Report) -> BTreeSet<&'static str> {
    report.found.keys().map(|class| class.name()).collect()
}

fn expect(workload: Workload, planted: Events, options: &Options, classes: &[&'static str]) {
    let report = judge(workload, &planted, options);
    assert_eq!(
        names(&report),
        classes.iter().copied().collect(),
        "{planted:?}"
    );
    assert_eq!(report.verdict, Verdict::Invalid, "{planted:?}");
    for (class, found) in &report.found {
        let case = &found.cases[0];
        assert!(!case.text.is_empty(), "{class}");
        for line in case.text.lines() {
            assert!(
                line.starts_with('T') || *class == Anomaly::CyclicVersions,
                "{line}"
            );
            assert!(
                !line.ends_with(' ') && !line.contains("{}"),
                "no reason: {line:?}"
            );
        }
    }
}

fn lists(txns: &[&'static str], classes: &[&'static str]) {
    expect(
        Workload::ListAppend,
        together(txns),
        &Options::default(),
        classes,
    );
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    for workload in [Workload::ListAppend, Workload::RwRegister] {
        let report = judge(workload, &Vec::new(), &Options::default());
        assert_eq!(report.verdict, Verdict::Valid);
        assert!(report.found.is_empty(), "{:?}", names(&report));
    }
}

#[test]
fn cycles_of_each_kind_are_named() {
    lists(
        &[
            "[:append :p 1] [:append :q 1]",
            "[:append :p 2] [:append :q 2]",
            "[:r :p [1 2]] [:r :q [2 1]]",
        ],
        &["G0"],
    );
    lists(
        &["[:append :p 1] [:r :q [1]]", "[:append :q 1] [:r :p [1]]"],
        &["G1c"],
    );
    lists(
        &["[:r :p nil] [:r :q [1]]", "[:append :p 1] [:append :q 1]"],
        &["G-single-item"],
    );
    lists(
        &[
            "[:append :x 1] [:append :t 1]",
            "[:r :x [1]] [:r :y nil]",
            "[:append :y 1] [:append :z 2]",
            "[:r :z [2]] [:r :t nil]",
        ],
        &["G-nonadjacent-item"],
    );
    lists(
        &["[:r :p nil] [:append :q 1]", "[:r :q nil] [:append :p 1]"],
        &["G2-item"],
    );
}

#[test]
fn cycles_that_need_an_order_are_named_after_it() {
    let patterns: [(&str, &[&'static str]); 5] = [
        ("G0", &["[:append :p 2]", "[:append :p 1]", "[:r :p [1 2]]"]),
        ("G1c", &["[:r :p [1]]", "[:append :p 1]"]),
        ("G-single-item", &["[:append :p 1]", "[:r :p nil]"]),
        (
            "G-nonadjacent-item",
            &[
                "[:append :z 1]",
                "[:r :y nil]",
                "[:append :y 1] [:append :w 1]",
                "[:r :w [1]] [:r :z nil]",
            ],
        ),
        (
            "G2-item",
            &[
                "[:append :p 1]",
                "[:r :q nil]",
                "[:append :q 1] [:r :p nil]",
            ],
        ),
    ];
    for (kind, txns) in patterns {
        let class = |form: &str| Anomaly::named(&format!("{kind}-{form}")).unwrap().name();
        let session = Options::for_model(Model::SessionSerializable);
        expect(
            Workload::ListAppend,
            in_order(txns, Form::Process),
            &session,
            &[class("process")],
        );
        let strict = Options::default();
        expect(
            Workload::ListAppend,
            in_order(txns, Form::Realtime),
            &strict,
            &[class("realtime")],
        );
        // A model that knows no order allows them.
        let serializable = Options::for_model(Model::Serializable);
        let report = judge(
            Workload::ListAppend,
            &in_order(txns, Form::Realtime),
            &serializable,
        );
        assert_eq!(report.verdict, Verdict::Valid, "{kind}");
    }
}

#[test]
fn what_reads_show_is_named() {
    let failed = |txns: &[&'static str]| {
        let mut events = together(txns);
        events[txns.len()].0 = "fail";
        events
    };
    let options = Options::default();
    let fails = |txns: &[&'static str], classes: &[&'static str]| {
        expect(Workload::ListAppend, failed(txns), &options, classes);
    };
    fails(&["[:append :p 1]", "[:r :p [1]]"], &["G1a"]);
    fails(
        &["[:append :p 1]", "[:append :p 2]", "[:r :p [1 2]]"],
        &["G1a", "dirty-update"],
    );
    lists(
        &["[:append :p 1] [:append :p 2]", "[:r :p [1]]"],
        &["G1b", "G-single-item"],
    );
    lists(&["[:append :p 1] [:r :p nil]"], &["internal"]);
    lists(&["[:r :p [1]] [:append :p 1]"], &["future-read"]);
    lists(
        &["[:r :p nil] [:append :p 1]", "[:r :p nil] [:append :p 2]"],
        &["lost-update", "G2-item"],
    );
    lists(
        &["[:append :p 1]", "[:r :p [1 1]]"],
        &["duplicate-elements"],
    );
    lists(
        &[
            "[:append :p 1] [:append :p 2]",
            "[:r :p [1 2]]",
            "[:r :p [2]]",
        ],
        &["incompatible-order"],
    );
    lists(&["[:r :p [9]]"], &["garbage-read"]);
}

#[test]
fn anomalies_of_registers_are_named() {
    let plain = Options::default();
    let linearizable = Options {
        versions: Inference {
            linearizable_keys: true,
            ..Inference::default()
        },
        ..Options::default()
    };
    let registers = |events: Events, options: &Options, classes: &[&'static str]| {
        expect(Workload::RwRegister, events, options, classes);
    };
    registers(
        together(&["[:w :p 1] [:r :q 1]", "[:w :q 1] [:r :p 1]"]),
        &plain,
        &["G1c"],
    );
    registers(
        together(&["[:r :p nil] [:r :q 1]", "[:w :p 1] [:w :q 1]"]),
        &plain,
        &["G-single-item", "fractured-read", "causality-violation"],
    );
    registers(
        together(&["[:r :p nil] [:w :q 1]", "[:r :q nil] [:w :p 1]"]),
        &plain,
        &["G2-item"],
    );
    registers(
        together(&["[:w :p 1] [:w :p 2]", "[:r :p 1]"]),
        &plain,
        &["G1b"],
    );
    registers(
        together(&["[:w :p 1] [:r :p 2]", "[:w :p 2]"]),
        &plain,
        &["internal"],
    );
    registers(together(&["[:r :p 1] [:w :p 1]"]), &plain, &["future-read"]);
    registers(
        together(&["[:r :p nil]", "[:r :p 7]"]),
        &plain,
        &["garbage-read"],
    );
    registers(
        together(&["[:r :p nil] [:w :p 1]", "[:r :p nil] [:w :p 2]"]),
        &plain,
        &["lost-update", "G2-item"],
    );
    let stale = ["[:w :p 1]", "[:w :p 2]", "[:r :p 1]"];
    let one_by_one = stale.iter().enumerate().flat_map(|(at, txn)| {
        [
            ("invoke", 90 + at as i64, *txn),
            ("ok", 90 + at as i64, *txn),
        ]
    });
    registers(one_by_one.collect(), &linearizable, &["cyclic-versions"]);
    let mut failed = together(&["[:w :p 1]", "[:r :p 1]"]);
    failed[2].0 = "fail";
    registers(failed, &plain, &["G1a"]);
}

#[test]
fn forbidding_an_anomaly_makes_it_count_where_the_model_allows_it() {
    let skew = together(&["[:r :p nil] [:append :q 1]", "[:r :q nil] [:append :p 1]"]);
    let mut options = Options::for_model(Model::SnapshotIsolation);
    let report = judge(Workload::ListAppend, &skew, &options);
    assert_eq!(report.verdict, Verdict::Valid);
    assert_eq!(names(&report), BTreeSet::from(["G2-item"]));
    options.forbidden.extend(Anomaly::named("G2-item"));
    assert_eq!(
        judge(Workload::ListAppend, &skew, &options).verdict,
        Verdict::Invalid
    );
}
