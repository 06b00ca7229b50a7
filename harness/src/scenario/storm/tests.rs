//! Storms as they are drawn, and those that are refused.

use std::collections::BTreeSet;

use super::*;
use crate::scenario::Catalogue;
use crate::scenario::InStorm;

const HEAD: &str = r#"
    name = "test"
    description = "test"
    system = "miroir"
    configuration = "test"
    expectation = "test"
    roles = [{ role = "router", nodes = 1 }, { role = "store", nodes = 3 }]
    [[load]]
    name = "writes"
    when = { at = "0s" }
    for = "60s"
    soak = true
    mix = { insert = 1 }
    [expect]
    loss = "none"
    writes_at_least = 1
"#;
const STORM: &str = r#"
    [[storm]]
    name = "weather"
    when = { after = "writes.start", delay = "1s" }
    for = "60s"
    every = "4s"
    hold = "1s"
    [[storm.fault]]
    weight = 1
    kill = { nodes = "store[?]", service = "node" }
    [[storm.fault]]
    weight = 3
    pause = { nodes = "store[?]", service = "node" }
"#;

fn parse(storm: &str) -> Result<Scenario, String> {
    let systems = Catalogue::embedded().unwrap().systems;
    Scenario::parse("my.toml", &format!("{HEAD}{storm}"), &systems).map_err(|e| e.to_string())
}

#[test]
fn a_seed_always_gives_the_same_faults_and_another_seed_others() {
    let scenario = parse(STORM).unwrap();
    let planned = |seed| scenario.expanded(seed, None).1;
    assert_eq!(planned(7), planned(7));
    assert_ne!(planned(7), planned(8));
    assert_eq!(planned(7).len(), 15);
    assert_eq!(planned(7)[0].name, "weather-001");
}

#[test]
fn faults_follow_each_other_with_a_pause_and_end_within_the_storm() {
    let scenario = parse(STORM).unwrap();
    for seed in 0..50 {
        let (expanded, planned) = scenario.expanded(seed, None);
        for pair in planned.windows(2) {
            let gap = pair[1].at.0.checked_sub(pair[0].at.0 + pair[0].length.0);
            assert!(gap >= Some(scenario.storm[0].pause().0), "{pair:?}");
        }
        let last = planned.last().unwrap();
        assert!(last.at.0 + last.length.0 <= scenario.storm[0].duration.0);
        assert_eq!(
            expanded.fault[1].in_storm,
            Some(InStorm {
                begun: Some("weather-001".to_owned()),
                ended: vec!["weather-001".to_owned()],
            })
        );
    }
}

#[test]
fn kinds_come_by_weight_and_nodes_are_drawn() {
    let (_, planned) = parse(STORM)
        .unwrap()
        .expanded(1, Some("4000s".parse().unwrap()));
    let share = |what: &dyn Fn(&PlannedFault) -> bool| {
        planned.iter().filter(|f| what(f)).count() as f64 / planned.len() as f64
    };
    assert!((share(&|f| f.kind == "kill") - 0.25).abs() < 0.06);
    for node in ["store[0]", "store[1]", "store[2]"] {
        assert!(
            (share(&|f| f.targets == [node]) - 0.33).abs() < 0.06,
            "{node}"
        );
    }
}

#[test]
fn faults_that_overlap_keep_the_storms_limits() {
    let limits = "hold = \"9s\"\n at_once = 3\n nodes_at_once = 2\n never_together = [[\"kill\", \"pause\"]]";
    let scenario = parse(&STORM.replace("hold = \"1s\"", limits)).unwrap();
    let mut most = 0;
    for seed in 0..200 {
        let (expanded, planned) = scenario.expanded(seed, None);
        for fault in &planned {
            let during: Vec<_> = planned
                .iter()
                .filter(|f| f.at <= fault.at && fault.at.0 < f.at.0 + f.length.0)
                .collect();
            let nodes: BTreeSet<_> = during.iter().flat_map(|f| &f.targets).collect();
            assert_eq!(nodes.len(), during.len(), "no node twice: {during:?}");
            assert!(during.len() <= 2, "{during:?}");
            assert!(during.iter().all(|f| f.kind == fault.kind), "{during:?}");
            most = most.max(during.len());
        }
        // Each waits for the end of every fault that is over by the plan when it strikes.
        let mut awaited = BTreeSet::new();
        for (fault, item) in planned.iter().zip(&expanded.fault) {
            awaited.extend(item.in_storm.clone().unwrap().ended);
            let over = planned
                .iter()
                .filter(|f| f.at.0 + f.length.0 <= fault.at.0)
                .map(|f| f.name.clone());
            assert!(awaited.is_superset(&over.collect()), "{}", fault.name);
        }
    }
    assert_eq!(most, 2, "some overlapped");
}

#[test]
fn what_waits_for_a_storm_of_overlapping_faults_waits_for_all_that_can_be_in_force_last() {
    let late = "\n[[action]]\nname = \"late\"\nrun = \"cutover\"\nwhen = { after = [\"writes\", \"weather\"] }\n";
    let storm = STORM.replace("hold = \"1s\"", "hold = \"6s\"\n at_once = 2");
    let (expanded, planned) = parse(&format!("{storm}{late}")).unwrap().expanded(1, None);
    let after = expanded.action[0].when.get_ref().after.clone().unwrap();
    let last: Vec<&str> = planned[planned.len() - 2..]
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(after.get_ref().0, ["writes", last[0], last[1]]);
}

#[test]
fn a_regular_storm_in_turn_is_a_sequence() {
    let storm = STORM.replace(
        "hold = \"1s\"",
        "hold = \"1s\"\n regular = true\n in_turn = true",
    );
    let (_, planned) = parse(&storm).unwrap().expanded(1, None);
    for (number, fault) in planned.iter().enumerate() {
        assert_eq!(fault.at.as_nanos(), number as u64 * 4_000_000_000);
        assert_eq!(fault.kind, ["kill", "pause"][number % 2]);
    }
}

#[test]
fn what_waits_for_a_storm_waits_for_its_last_fault() {
    let late = "\n[[action]]\nname = \"late\"\nrun = \"cutover\"\nwhen = { after = \"weather\" }\n";
    let (expanded, _) = parse(&format!("{STORM}{late}")).unwrap().expanded(1, None);
    let after = expanded.action[0].when.get_ref().after.clone().unwrap();
    assert_eq!(after.get_ref().0, ["weather-015"]);
}

#[test]
fn time_sets_the_length_of_storms_and_soaking_loads_and_extends_the_time_out() {
    let (expanded, planned) = parse(STORM)
        .unwrap()
        .expanded(1, Some("10m".parse().unwrap()));
    assert_eq!(planned.len(), 150);
    assert_eq!(
        expanded.load[0].duration,
        Some(HumanDuration::from_secs(600))
    );
    assert_eq!(expanded.timeout, HumanDuration::from_secs(120 + 540));
}

#[test]
fn a_storm_that_cannot_be_is_refused_with_its_place() {
    for (from, to, expected) in [
        ("hold = \"1s\"", "hold = \"4s\"", "longer than `hold`"),
        (
            "for = \"60s\"\n    every",
            "for = \"3s\"\n    every",
            "shorter than `every`",
        ),
        ("weight = 1", "weight = 0", "at least 1"),
        ("hold = \"1s\"", "at_once = 0", "at least 1"),
        (
            "hold = \"1s\"",
            "never_together = [[\"kill\", \"clock\"]]",
            "no fault of this storm is a `clock`; expected two of `kill`, `pause`",
        ),
        ("store[?]", "stroe[?]", "no role `stroe`"),
        ("kill = {", "reset = {", "unknown field `service`"),
        ("service = \"node\"", "service = \"nod\"", "no such service"),
    ] {
        assert!(STORM.contains(from), "{from}");
        let error = parse(&STORM.replacen(from, to, 1)).unwrap_err();
        assert!(
            error.starts_with("my.toml:") && error.contains(expected),
            "{to}: {error}"
        );
    }
    let without_faults = STORM.split("[[storm.fault]]").next().unwrap();
    let error = parse(without_faults).unwrap_err();
    assert!(error.contains("at least one [[storm.fault]]"), "{error}");
}

#[test]
fn a_random_node_is_refused_outside_a_storm() {
    let fault = "[[fault]]\nname = \"x\"\nwhen = { at = \"0s\" }\nkill = { nodes = \"store[?]\", service = \"node\" }\n";
    assert!(parse(fault).unwrap_err().contains("only in a storm"));
}
