//! A fault on the primary strikes the node that the system says it is, at the moment it strikes.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use run::{refused, run, runs, scenario_file, scratch};
use shakedown_reports::results::Verdict;

const SCENARIO: &str = r#"
name = "primary"
description = "The owner of the first document is killed."
system = "miroir"
configuration = "two stores"
expectation = "no acknowledged write is lost"
roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 2 }]

[[load]]
name = "writes"
when = { at = "0s" }
for = "6s"
rate = 100
processes = 16
mix = { insert = 4, update = 1 }

[[fault]]
name = "owner"
when = { at = "2s" }
for = "1s"
kill = { nodes = "primary", service = "node" }

[expect]
loss = "none"
writes_at_least = 100
"#;

#[test]
fn a_fault_on_the_primary_strikes_the_node_that_is_the_primary() {
    let files = scratch();
    let out = runs(&files);
    let file = scenario_file(&files, "primary.toml", SCENARIO);
    let ended = run(&["run", &file, "--seed", "1", "--out", &out]);
    let results = ended.results();
    let scenario = &results.scenarios[0];
    assert_eq!(
        scenario.verdict,
        Verdict::Valid,
        "{}",
        run::in_words(scenario)
    );
    ended.expect(0);
    let fault = &scenario.faults[0];
    assert_eq!(fault.outcome, "installed");
    let struck = &fault.evidence[0].0;
    assert!(["n2", "n3"].contains(&struck.as_str()), "a store: {struck}");
    assert!(
        fault.evidence.iter().all(|(node, ..)| node == struck),
        "one node only"
    );
    assert!(fault.summary.contains(struck.as_str()), "{}", fault.summary);
}

#[test]
fn a_system_that_does_not_tell_its_primary_has_none() {
    let files = scratch();
    let system = include_str!("../systems/miroir.toml");
    let (start, rest) = system.split_once("[primary]").unwrap();
    let (_, rest) = rest.split_once("[write_pause]").unwrap();
    let system = format!("{start}[write_pause]{rest}");
    let system = scenario_file(&files, "miroir.toml", &system);
    let file = scenario_file(&files, "primary.toml", SCENARIO);
    refused(
        &["run", &file, "--system-file", &system, "--dry-run"],
        &["has no [primary]"],
    );
}
