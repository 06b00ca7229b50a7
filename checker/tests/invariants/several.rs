//! Several models in one pass, keys, limits, and what is cut off.

use std::ops::ControlFlow;
use std::time::Duration;

use shakedown_checker::catalogue::{Invariants, Options, check, find};
use shakedown_checker::clock::{Progress, Tell};
use shakedown_checker::import::Source;

use super::written::{edn, judge, outcome};

const BY_KEY: Invariants = Invariants {
    by_key: true,
    total: None,
    negative_balances: false,
    group_size: None,
};

#[test]
fn the_worst_verdict_stands_for_all_models() {
    let lines = ["0 add 1", "0 read -> [1]", "0 read -> []"];
    let both = outcome("set-full,monotonic-writes", &lines);
    assert_eq!(both.verdict.word(), "invalid");
    assert_eq!(both.facts["set-full"]["verdict"], "invalid");
    assert_eq!(both.facts["monotonic-writes"]["verdict"], "valid");
    assert_eq!(both.findings[0].about, "set-full, lost");
    // A search beside it reads the history on its own.
    assert_eq!(outcome("set-full,set", &lines[..2]).verdict.word(), "valid");
}

#[test]
fn unknown_hides_no_violation_of_another_key_or_model() {
    let lines = [
        "0 add [a 1]",
        "0 add [b 1]",
        "0 add [b 2]",
        "0 read [b nil] -> [b [1]]",
    ];
    let by_key = judge("set-full", &edn(&lines), BY_KEY);
    assert_eq!(by_key.verdict.word(), "invalid");
    assert_eq!(by_key.findings[0].about, "key b, lost");
    assert_eq!(
        (&by_key.facts["invalid"], &by_key.facts["undecided"]),
        (&1.into(), &1.into())
    );
    // Without the violation, the key that was never read keeps it from being valid.
    let undecided = judge(
        "set-full",
        &edn(&["0 add [a 1]", "0 add [b 1]", "0 read [b nil] -> [b [1]]"]),
        BY_KEY,
    );
    assert_eq!(undecided.verdict.word(), "unknown");
}

fn limited(lines: &[&str], options: &Options) -> (String, String) {
    let source = Source::of_text(edn(lines), None, 1 << 20).unwrap();
    let outcome = check(&[find("set-full").unwrap()], &source, options).unwrap();
    (
        outcome.verdict.word().to_owned(),
        outcome.truncated.unwrap_or_default(),
    )
}

#[test]
fn a_time_limit_and_a_stop_give_a_partial_answer() {
    let options = Options {
        time: Some(Duration::ZERO),
        ..Options::default()
    };
    let (verdict, why) = limited(&["0 add 1", "0 read -> [1]"], &options);
    assert_eq!(
        (&*verdict, &*why),
        ("unknown", "the time limit was reached after 0 events")
    );
    // 1,024 events on, the next look: what is lost by then is lost.
    let stops: Tell = |progress, _| match progress {
        Progress::Events(0) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    let options = Options {
        tell: Some(stops),
        ..Options::default()
    };
    let mut lines = vec!["0 add 1", "0 read -> [1]"];
    lines.extend(["0 read -> [1]"; 1000]);
    let (verdict, why) = limited(&lines, &options);
    assert_eq!(
        (&*verdict, &*why),
        ("unknown", "it was stopped after 1024 events")
    );
    lines[2] = "0 read -> []";
    lines[3..].fill("0 read -> []");
    assert_eq!(limited(&lines, &options).0, "invalid");
}

#[test]
fn a_history_that_is_cut_off_is_never_valid() {
    let text = edn(&["0 add 1", "0 read -> [1]"]) + "{:type :inv";
    let outcome = judge("set-full", &text, Invariants::default());
    assert_eq!(outcome.verdict.word(), "unknown");
    assert!(outcome.truncated.is_some());
}

#[test]
fn what_is_no_operation_of_the_model_is_told_with_its_line() {
    let source = Source::of_text(edn(&["0 add 1", "0 remove 1"]), None, 1 << 20).unwrap();
    let error = find("set-full")
        .unwrap()
        .check(&source, &Options::default())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "text: line 3: not an operation of this type: remove 1"
    );
}
