//! A run by way of a jump host: faults spare what comes from there, clients go straight to the nodes, and a node of the run
//! is no jump host.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::path::Path;

use local_nodes::cluster;
use run::{Ended, in_words, run_listed, runs, scenario, scenario_file, scratch};
use shakedown::cluster::LocalCluster;

const CUT: &str = include_str!("run/cut.toml");

/// A run on the first four nodes by way of one node.
fn run_by_way_of(cluster: &LocalCluster, jump: usize, scenario: &str, out: &str) -> Ended {
    let nodes: Vec<String> = cluster.nodes()[..4]
        .iter()
        .map(|node| format!("root@{}", node.host))
        .collect();
    let jump = format!("root@{}", cluster.nodes()[jump].host);
    let more = ["--jump", jump.as_str()];
    run_listed((&nodes, cluster.access()), &more, scenario, out)
}

#[test]
fn faults_spare_the_jump_host_and_strike_clients_where_they_come_from() {
    let cluster = cluster(5);
    let dir = scratch();
    let file = scenario_file(&dir, "cut.toml", CUT);
    let ended = run_by_way_of(&cluster, 4, &file, &runs(&dir));
    ended.expect(0);
    let results = ended.results();
    let result = scenario(&results, "cut");
    let outcomes: Vec<&str> = result.faults.iter().map(|f| f.outcome.as_str()).collect();
    assert_eq!(outcomes, ["installed", "installed"], "{}", in_words(result));
    let faults = result.faults.iter();
    let rules: Vec<&String> = faults
        .flat_map(|fault| &fault.evidence)
        .filter(|(_, what, _)| what.starts_with("rules of table"))
        .map(|(_, _, rules)| rules)
        .collect();
    let (jump, here) = (&cluster.nodes()[4].host, cluster.info().harness_address());
    for rules in &rules {
        assert!(rules.contains(&format!("management {jump} 22")), "{rules}");
        assert!(!rules.contains(&format!("dropped {jump}")), "{rules}");
        assert!(!rules.contains(&format!("management {here}")), "{rules}");
    }
    let clients = format!("dropped {here}");
    assert!(
        rules.iter().any(|rules| rules.contains(&clients)),
        "{rules:?}"
    );
    cluster.down().unwrap();
}

#[test]
fn a_node_of_the_run_is_refused_as_a_jump_host_before_the_run_begins() {
    let cluster = cluster(4);
    let dir = scratch();
    let file = scenario_file(&dir, "cut.toml", CUT);
    let out = runs(&dir);
    let ended = run_by_way_of(&cluster, 1, &file, &out);
    ended.expect(3);
    let second = &cluster.nodes()[1].host;
    let expected =
        format!("is reached by way of {second}, whose faults would cut this machine off");
    assert!(ended.stderr.contains(&expected), "{}", ended.said());
    assert!(!Path::new(&out).exists(), "a run has begun");
    cluster.down().unwrap();
}
