//! A system of one's own is a file: no rebuild, and what a run stores is enough to repeat and to judge it.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use std::fs;

use run::{refused, run, runs, scenario_file, scratch};

const PLAIN: &str = include_str!("run/plain.toml");
const MIROIR: &str = include_str!("../systems/miroir.toml");

#[test]
fn a_system_file_from_disk_runs_and_its_plan_runs_again_without_it() {
    let files = scratch();
    let out = runs(&files);
    let system = MIROIR.replacen("name = \"miroir\"", "name = \"mirror\"", 1);
    let system = scenario_file(&files, "mirror.toml", &system);
    let text = PLAIN.replacen("system = \"miroir\"", "system = \"mirror\"", 1);
    let scenario = scenario_file(&files, "plain.toml", &text);

    refused(
        &["run", &scenario, "--out", &out],
        &["no such system; expected one of `miroir`"],
    );

    let ended = run(&[
        "run",
        &scenario,
        "--system-file",
        &system,
        "--seed",
        "3",
        "--out",
        &out,
    ]);
    ended.expect(0);
    assert!(
        ended.stdout.contains(&format!("--system-file {system}")),
        "{}",
        ended.said()
    );
    fs::remove_file(&system).unwrap();
    run(&["check", &ended.run_dir().display().to_string()]).expect(0);
    let name = &ended.results().scenarios[0].name;
    let plan = ended
        .run_dir()
        .join(name)
        .join("plan.json")
        .display()
        .to_string();
    let again = run(&["run", &plan, "--dry-run"]);
    again.expect(0);
    assert!(again.stdout.contains("\"seed\": 3"), "{}", again.said());
}

#[test]
fn a_malformed_system_file_is_refused_with_its_place() {
    let files = scratch();
    let system = scenario_file(&files, "mine.toml", "name = \"mine\"\nservices = []\n");
    refused(
        &["run", "demo", "--system-file", &system, "--dry-run"],
        &[&format!("{system}:2:1: unknown field `services`")],
    );
}
