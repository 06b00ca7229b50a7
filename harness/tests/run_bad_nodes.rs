//! Faults that a node suffers by itself in a run, over SSH: each happens and is shown; without their effect the
//! run is unknown.

mod run;

use run::{in_words, run, scenario, scenario_file, scratch};

fn bad_nodes(more: &[&str]) -> run::Ended {
    let dir = scratch();
    let text = include_str!("run/bad_nodes.toml");
    let file = scenario_file(&dir, "bad_nodes.toml", text);
    let out = dir.path().join("runs").display().to_string();
    let mut arguments = vec!["run", &file, "--seed", "7", "--out", &out];
    arguments.extend(more);
    let ended = run(&arguments);
    // The results are read before the directory goes.
    let results = ended.results();
    let found = scenario(&results, "bad_nodes");
    let words = in_words(found);
    let outcomes: Vec<&str> = found.faults.iter().map(|f| f.outcome.as_str()).collect();
    let wanted = if more.contains(&"--noop-faults") {
        "skipped"
    } else {
        "installed"
    };
    assert_eq!(outcomes, [wanted; 10], "{words}{:#?}", found.faults);
    ended
}

#[test]
fn every_fault_of_a_node_happens_and_no_acknowledged_write_is_lost() {
    bad_nodes(&[]).expect(0);
}

#[test]
fn without_their_effect_every_fault_of_a_node_is_skipped_and_the_run_unknown() {
    bad_nodes(&["--noop-faults"]).expect(2);
}
