//! Operations as faults: each happens and is shown, those that are refused or left out are skipped.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use run::{Ended, every_fault_counts, run, runs, scenario, scenario_file, scratch, shakedown};
use tempfile::TempDir;

const SCENARIO: &str = include_str!("run/operations.toml");

fn miroir() -> PathBuf {
    shakedown().with_file_name("miroir")
}

/// The same program in another build: bytes after its end change nothing but its sum.
fn other_build(dir: &TempDir) -> String {
    let path = dir.path().join("miroir_next");
    fs::copy(miroir(), &path).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"another build").unwrap();
    format!("miroir_next={}", path.display())
}

fn operations(more: &[&str]) -> Ended {
    let dir = scratch();
    let next = other_build(&dir);
    let mut arguments = vec!["--binary", &next];
    arguments.extend(more);
    every_fault_counts("operations", SCENARIO, 4, &arguments)
}

#[test]
fn every_operation_happens_and_no_acknowledged_write_is_lost() {
    operations(&[]).expect(0);
}

#[test]
fn without_their_effect_operations_are_skipped_and_the_run_unknown() {
    operations(&["--noop-faults"]).expect(2);
}

#[test]
fn an_upgrade_to_the_same_program_and_a_refused_operation_are_skipped() {
    let dir = scratch();
    // Nothing is added, so there is nothing to move to.
    let text = SCENARIO.replace("{ run = \"add_node\" }", "{ run = \"abort\" }");
    let file = scenario_file(&dir, "operations.toml", &text);
    let same = format!("miroir_next={}", miroir().display());
    let out = runs(&dir);
    let ended = run(&["run", &file, "--binary", &same, "--out", &out]);
    ended.expect(2);
    let results = ended.results();
    let found = scenario(&results, "operations");
    let outcome = |name: &str| {
        let fault = found.faults.iter().find(|fault| fault.name == name);
        fault.map(|fault| (fault.outcome.as_str(), fault.evidence.clone()))
    };
    assert_eq!(outcome("restarted").unwrap().0, "installed");
    let (upgraded, evidence) = outcome("upgraded").unwrap();
    assert_eq!(upgraded, "skipped", "{evidence:?}");
    assert!(
        evidence[0].2.ends_with(": the same"),
        "the same program is seen to be the same: {evidence:?}"
    );
    for refused in ["added", "moved"] {
        let (outcome, evidence) = outcome(refused).unwrap();
        assert_eq!(outcome, "skipped", "{evidence:?}");
    }
}

#[test]
fn a_program_to_upgrade_to_that_nobody_gave_is_said_before_anything_is_started() {
    let dir = scratch();
    let file = scenario_file(&dir, "operations.toml", SCENARIO);
    let ended = run(&["run", &file, "--local", "5"]);
    assert!(
        ended.stderr.contains("no program `miroir_next`"),
        "{}",
        ended.said()
    );
}
