//! Workloads on plain objects, with a program as client and a system whose bug can be turned on: models judge what it
//! answered, in the run and again from what was stored.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use run::{Ended, Running, in_words, run, runs, scenario_file, scratch};
use shakedown_reports::results::Verdict;
use tempfile::TempDir;

const LEDGER: &str = include_str!("run/ledger.toml");
const ELEMENTS: &str = include_str!("run/elements.toml");

const FORGETS: &str = "[settings]\nforgets = 7\n[workload]";
const LOSS_EXPECTED: &str = "operations_at_least = 150\n[expect.models]\nfinal-set = \"violated\"";

/// The scenario, changed.
fn scenario(changes: &[(&str, &str)]) -> String {
    changes
        .iter()
        .fold(ELEMENTS.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        })
}

/// Files of a run that go with the test, and its command line.
fn prepared(text: &str) -> (TempDir, Vec<String>) {
    let dir = scratch();
    let system = scenario_file(&dir, "ledger.toml", LEDGER);
    let file = scenario_file(&dir, "elements.toml", text);
    let out = runs(&dir);
    let words = [
        "run",
        &file,
        "--system-file",
        &system,
        "--seed",
        "4",
        "--out",
        &out,
    ];
    let words = words.map(str::to_owned).to_vec();
    (dir, words)
}

fn ran(text: &str, more: &[&str]) -> (TempDir, Ended) {
    let (dir, words) = prepared(text);
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    (dir, run(&words))
}

#[test]
fn a_set_that_keeps_what_it_acknowledges_is_valid_and_stays_so_when_judged_again() {
    let (_dir, ended) = ran(ELEMENTS, &[]);
    ended.expect(0);
    let results = ended.results();
    let found = &results.scenarios[0];
    let words = in_words(found);
    assert_eq!(found.workload.as_deref(), Some("set"));
    let models: Vec<(&str, Verdict)> = found
        .models
        .iter()
        .map(|m| (m.model.as_str(), m.verdict))
        .collect();
    assert_eq!(
        models,
        [("final-set", Verdict::Valid), ("set-full", Verdict::Valid)],
        "{words}"
    );
    let loss = &found.checkpoints[0].loss;
    assert_eq!(loss.lost.events, 0);
    assert_eq!(loss.lost.trials, loss.acknowledged_writes);
    let run_dir = ended.run_dir();
    for model in &found.models {
        let page = fs::read_to_string(run_dir.join(&model.page)).unwrap();
        assert!(page.contains(&model.model), "{page}");
    }
    let again = run(&["check", &run_dir.display().to_string()]);
    again.expect(0);
    assert!(
        again
            .stdout
            .contains("Every check and every verdict is the run's own."),
        "{}",
        again.said()
    );
    // A bound that is reached is named, and makes what it keeps from telling unknown.
    let bounded = run(&[
        "check",
        &run_dir.display().to_string(),
        "--memory-limit",
        "1kB",
    ]);
    bounded.expect(2);
    assert!(bounded.stdout.contains("memory"), "{}", bounded.said());
}

#[test]
fn a_set_that_forgets_is_invalid_and_its_losses_are_told_by_fault() {
    let (_dir, ended) = ran(&scenario(&[("[workload]", FORGETS)]), &[]);
    ended.expect(1);
    let results = ended.results();
    let found = &results.scenarios[0];
    let words = in_words(found);
    assert!(
        found.models.iter().all(|m| m.verdict == Verdict::Invalid),
        "{words}"
    );
    let loss = &found.checkpoints[0].loss;
    assert!(loss.lost.events >= 10, "{words}");
    let windows = |lanes: &[&str]| -> (u64, u64) {
        let windows = loss
            .windows
            .iter()
            .filter(|w| lanes.contains(&w.lane.as_str()));
        windows.fold((0, 0), |(lost, of), w| {
            (lost + w.lost.events, of + w.lost.trials)
        })
    };
    // Each was acknowledged within the fault or outside of it, and within a load.
    let all = (loss.lost.events, loss.lost.trials);
    assert_eq!(windows(&["fault", "outside"]), all, "{:#?}", loss.windows);
    let stop = loss.windows.iter().find(|w| w.lane == "fault").unwrap();
    assert!(
        stop.acknowledged_writes > 0 && stop.lost.events > 0,
        "{stop:#?}"
    );
    let page = fs::read_to_string(ended.run_dir().join("index.html")).unwrap();
    assert!(
        page.contains("Losses by fault") && page.contains("set-full"),
        "{words}"
    );
    run(&["check", &ended.run_dir().display().to_string()]).expect(1);
}

#[test]
fn a_loss_that_is_expected_is_valid_if_it_is_found_and_unknown_if_it_is_not() {
    let least = "operations_at_least = 150";
    let found = scenario(&[("[workload]", FORGETS), (least, LOSS_EXPECTED)]);
    ran(&found, &[]).1.expect(0);
    let (_dir, missed) = ran(&scenario(&[(least, LOSS_EXPECTED)]), &[]);
    missed.expect(2);
    assert!(
        missed
            .stdout
            .contains("unknown: `final-set` is violated, as expected: valid:"),
        "{}",
        missed.said()
    );
    // Nor does a fault that did not happen prove anything, or too little load.
    ran(ELEMENTS, &["--noop-faults"]).1.expect(2);
    ran(&scenario(&[("at_least = 150", "at_least = 100000")]), &[])
        .1
        .expect(2);
}

#[test]
fn a_run_that_is_killed_still_gets_its_verdict() {
    let forgetful = scenario(&[
        ("[workload]", FORGETS),
        ("count = 60", "for = \"60s\"\nrate = 50"),
    ]);
    let (dir, words) = prepared(&forgetful);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut running = Running::start(&words);
    let suite = dir.path().join("runs/elements");
    let mut elements: Option<PathBuf> = None;
    running.until("a loss can be told from what is on disk", || {
        let mut dirs = fs::read_dir(&suite).into_iter().flatten().flatten();
        elements = dirs.next().map(|run| run.path().join("elements"));
        elements.as_ref().is_some_and(|scenario| {
            let checked = run(&["check", &scenario.display().to_string()]);
            checked.code == Some(1)
        })
    });
    running.signal(Signal::SIGKILL);
    assert_eq!(running.ended().code, None);
    let scenario = elements.unwrap();
    for judged in [scenario.as_path(), scenario.parent().unwrap()] {
        let checked = run(&["check", &judged.display().to_string()]);
        checked.expect(1);
        assert!(
            checked.stdout.contains("invalid: `set-full` holds"),
            "{}",
            checked.said()
        );
    }
}
