//! A run can leave its services behind to be looked at, until the cluster is taken down.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use run::{fault_tables, on_node, run, runs, scenario_file, scratch};
use shakedown::cluster;

const PLAIN: &str = include_str!("run/plain.toml");

/// Takes the cluster down, also when the test panics.
struct Left(String);

impl Drop for Left {
    fn drop(&mut self) {
        // The test may have taken it down itself.
        let _ = cluster::down(&self.0);
    }
}

#[test]
fn services_and_cluster_stay_and_the_output_says_how_to_look_around_and_how_to_end_it() {
    let files = scratch();
    let scenario = scenario_file(&files, "plain.toml", PLAIN);
    let out = runs(&files);
    let ended = run(&["run", &scenario, "--out", &out, "--leave-running"]);
    ended.expect(0);
    let name = ended
        .stdout
        .split("shakedown cluster down ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("{}", ended.said()))
        .to_owned();
    let left = Left(name);

    let look = format!("shakedown cluster ssh n1 --cluster {}", left.0);
    assert!(ended.stdout.contains(&look), "{}", ended.said());
    on_node(&left.0, "n1", "pgrep miroir").expect(0);
    assert_eq!(fault_tables(&left.0, "n1"), Vec::<String>::new());
    // Logs are collected all the same.
    let scenario = &ended.results().scenarios[0];
    let logs = |artifact: &&String| artifact.ends_with(".log");
    assert!(scenario.artifacts.iter().any(|a| logs(&a)));

    run(&["cluster", "down", &left.0]).expect(0);
    let names: Vec<String> = (cluster::list().unwrap().into_iter())
        .map(|info| info.name)
        .collect();
    assert!(!names.contains(&left.0), "{names:?}");
}
