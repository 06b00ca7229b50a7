//! What the scenario language offers beyond single faults holds on real nodes: storms, standbys, disks of
//! their own, copies from node to node, and values read along the way.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod run;

use std::collections::BTreeSet;
use std::fs;

use run::{in_words, run, scenario_file, scratch};
use shakedown_reports::results::Verdict;

const SCENARIO: &str = r#"
name = "language"
description = "The router is replaced by its standby, a store loses power, another's disk runs full, then a storm."
system = "miroir"
configuration = "two stores, a standby router"
expectation = "no acknowledged write is lost"
roles = [
    { role = "router", nodes = 1 },
    { role = "standby", nodes = 1 },
    { role = "store", nodes = 2, disk_mib = 32 },
]

[[load]]
name = "writes"
when = { at = "0s" }
until = { after = "storm", delay = "1s" }
rate = 150
processes = 48
mix = { insert = 6, update = 2, delete = 1, read = 1 }

[[fault]]
name = "router-gone"
when = { after_ops = 150 }
kill = { nodes = "router", service = "router", signal = "terminate", restart = false }

[[action]]
name = "copy"
run = "copy_router_data"
when = { after = "router-gone.start" }

[[action]]
name = "take-over"
run = "start_standby"
when = { after = "copy" }

[[fault]]
name = "power"
when = { after = "take-over", delay = "500ms" }
for = "300ms"
power_loss = { nodes = "store[0]", service = "node" }

[[fault]]
name = "full"
when = { after = "power", delay = "300ms" }
for = "300ms"
disk_full = { nodes = "store[1]" }

[[storm]]
name = "storm"
when = { after = "full", delay = "300ms" }
for = "2s"
every = "1s"
hold = "200ms"
[[storm.fault]]
weight = 1
pause = { nodes = "store[?]", service = "node" }
[[storm.fault]]
weight = 1
partition = { from = "standby", to = "store[?]", one_way = true }

[expect]
loss = "none"
writes_at_least = 300
"#;

#[test]
fn nothing_is_lost_when_a_standby_takes_over_and_stores_lose_power_and_space_and_a_storm_comes() {
    let out = scratch();
    let file = scenario_file(&out, "language.toml", SCENARIO);
    let ended = run(&[
        "run",
        &file,
        "--seed",
        "5",
        "--out",
        &out.path().display().to_string(),
    ]);
    let results = ended.results();
    let scenario = run::scenario(&results, "language");
    assert_eq!(
        scenario.verdict,
        Verdict::Valid,
        "{}\n{}",
        in_words(scenario),
        ended.said()
    );
    let faults: BTreeSet<&str> = scenario.faults.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        faults,
        ["router-gone", "power", "full", "storm-001", "storm-002"].into()
    );
    let after = scenario.faults.iter().find(|f| f.name == "power").unwrap();
    let acknowledged = scenario
        .timeline
        .iter()
        .filter(|point| u64::from(point.second) * 1_000_000_000 > after.end_ns && point.ok > 0);
    assert!(acknowledged.count() > 0, "the standby serves");
    let gauges = scenario.gauges.iter().map(|g| g.name.as_str());
    let memory: BTreeSet<&str> = gauges.filter(|name| name.starts_with("memory ")).collect();
    assert_eq!(
        memory,
        [
            "memory n1/router",
            "memory n2/router",
            "memory n3/node",
            "memory n4/node"
        ]
        .into()
    );
    let kept = fs::read_to_string(ended.run_dir().join("language/gauges.jsonl")).unwrap();
    let points: usize = scenario.gauges.iter().map(|g| g.points.len()).sum();
    assert_eq!(kept.lines().count(), points);
}
