//! A line of wishes becomes faults on real nodes, a verdict, and a scenario that can be kept.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use std::fs;

use run::{refused, run, runs, scratch};
use shakedown_reports::results::Verdict;

#[test]
fn a_line_of_wishes_tortures_a_system_and_says_beforehand_how() {
    let files = scratch();
    let out = runs(&files);
    let kept = files.path().join("kept.toml").display().to_string();
    let wishes = [
        "torture",
        "--system",
        "miroir",
        "--faults",
        "kill=2,pause",
        "--interval",
        "3s",
        "--hold",
        "1s",
        "--time",
        "12s",
        "--rate",
        "150",
        "--seed",
        "5",
    ];
    let ended = run(&[&wishes[..], &["--out", &out, "--save", &kept]].concat());
    ended.expect(0);
    let announced: Vec<&str> = (ended.stdout.lines())
        .filter(|line| line.ends_with(" for 1s"))
        .collect();
    assert_eq!(announced.len(), 3, "{}", ended.said());
    let results = ended.results();
    let scenario = &results.scenarios[0];
    assert_eq!(scenario.verdict, Verdict::Valid);
    assert_eq!(scenario.faults.len(), 3);
    for fault in &scenario.faults {
        let line = announced.iter().find(|line| line.contains(&fault.name));
        assert!(line.unwrap().contains(&fault.kind), "{announced:?}");
    }
    assert!(fs::read_to_string(&kept).unwrap().contains("[[storm]]"));

    // The same wishes with faults that have no effect prove nothing.
    let noop = run(&[&wishes[..], &["--out", &out, "--noop-faults"]].concat());
    noop.expect(2);
}

#[test]
fn wishes_that_cannot_be_are_refused_with_what_can() {
    for (wish, expected) in [
        (&["--system", "mirror"][..], "expected one of miroir"),
        (
            &["--system", "miroir", "--faults", "earthquake"],
            "expected some of",
        ),
        (
            &["--system", "miroir", "--faults", "kill=0"],
            "weight from 1",
        ),
        (&["--system", "miroir", "--time", "5s"], "two intervals"),
        (
            &["--system", "miroir", "--hold", "1m", "--time", "1h"],
            "must be longer than `hold`",
        ),
    ] {
        refused(&[&["torture", "--dry-run"][..], wish].concat(), &[expected]);
    }
}
