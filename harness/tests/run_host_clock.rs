//! The clocks of nodes themselves are left alone without a flag, and with it wherever they are this machine's. No clock is
//! ever set here: each of these runs is refused before an agent is asked.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use run::{refused, run, runs, scenario, scenario_file, scratch};

const SCENARIO: &str = r#"
name = "host_clock"
description = "The stores' own clocks are set back."
system = "miroir"
configuration = "one store"
expectation = "no acknowledged write is lost"
roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 1 }]
load = [{ name = "writes", when = { at = "0s" }, for = "2s", mix = { insert = 1 } }]
expect = { loss = "none", writes_at_least = 1 }
[[fault]]
name = "back"
when = { at = "1s" }
for = "1s"
host_clock = { nodes = "store", offset = "-1h" }
"#;

#[test]
fn without_the_flag_a_run_that_would_set_clocks_is_not_begun() {
    let files = scratch();
    let file = scenario_file(&files, "host_clock.toml", SCENARIO);
    refused(
        &["run", &file, "--local", "2"],
        &["pass --allow-host-clock"],
    );
}

#[test]
fn with_the_flag_a_node_that_has_this_machines_kernel_is_refused() {
    let files = scratch();
    let file = scenario_file(&files, "host_clock.toml", SCENARIO);
    let out = runs(&files);
    let ended = run(&["run", &file, "--allow-host-clock", "--out", &out]);
    let results = ended.results();
    let error = scenario(&results, "host_clock")
        .harness_error
        .clone()
        .unwrap();
    assert!(
        error.contains("runs on the kernel of the machine this runs on"),
        "{error}"
    );
}
