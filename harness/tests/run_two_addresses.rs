//! Nodes that know each other by other addresses than SSH goes to: services, clients and faults use those that the node
//! list has behind `=`, and one that leads to no node is found before a run begins.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::path::Path;

use local_nodes::{cluster, remote};
use run::{Ended, in_words, run_listed, runs, scenario, scenario_file, scratch};
use shakedown::cluster::LocalCluster;
use shakedown::control::Remote;
use shakedown_reports::results::ScenarioResults;

/// Nobody has this as the last part of an address in a local cluster's network.
const NOBODY: u8 = 199;

const CUT: &str = include_str!("run/cut.toml");

/// The first three parts of the addresses of a cluster's network.
fn prefix(cluster: &LocalCluster) -> String {
    let (prefix, _) = cluster.nodes()[0].host.rsplit_once('.').unwrap();
    prefix.to_owned()
}

/// Gives each node a second address of the cluster's network; returns them.
fn second_addresses(cluster: &LocalCluster) -> Vec<String> {
    let prefix = prefix(cluster);
    (0..cluster.nodes().len())
        .map(|index| {
            let address = format!("{prefix}.{}", 101 + index);
            let add = format!("ip addr add {address}/24 dev eth0");
            remote(cluster, index).run(&add).unwrap();
            address
        })
        .collect()
}

/// The address of IPv6 that each node has beside that of IPv4; empty if the kernel has no IPv6.
fn ipv6_addresses(cluster: &LocalCluster) -> Vec<String> {
    let show = "ip -6 -o addr show dev eth0 scope global | sed 's/.*inet6 \\([^/]*\\).*/\\1/'";
    (0..cluster.nodes().len())
        .map(|index| remote(cluster, index).run(show).unwrap())
        .filter(|address| !address.is_empty())
        .collect()
}

/// A run on nodes reached by SSH at their first addresses, with other ones behind `=`.
fn run_at(cluster: &LocalCluster, own: &[String], scenario: &str, out: &str) -> Ended {
    let nodes: Vec<String> = (cluster.nodes().iter().zip(own))
        .map(|(node, own)| format!("root@{}:22={own}", node.host))
        .collect();
    run_listed((&nodes, cluster.access()), &[], scenario, out)
}

/// What was seen of a fault.
fn evidence(result: &ScenarioResults, fault: &str) -> String {
    let fault = result.faults.iter().find(|f| f.name == fault).unwrap();
    let lines = fault.evidence.iter();
    lines
        .map(|(node, what, seen)| format!("{node}: {what}: {seen}\n"))
        .collect()
}

/// A valid run on nodes with these addresses of their own; both its faults happened.
fn cut(cluster: &LocalCluster, own: &[String]) -> ScenarioResults {
    let dir = scratch();
    let file = scenario_file(&dir, "cut.toml", CUT);
    let ended = run_at(cluster, own, &file, &runs(&dir));
    ended.expect(0);
    let results = ended.results();
    let result = scenario(&results, "cut");
    let outcomes: Vec<&str> = result.faults.iter().map(|f| f.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        ["installed", "installed"],
        "{}\n{:#?}",
        in_words(result),
        result.faults
    );
    result.clone()
}

#[test]
fn a_partition_holds_at_the_second_addresses_while_ssh_goes_by_the_first() {
    let cluster = cluster(4);
    let own = second_addresses(&cluster);
    let result = cut(&cluster, &own);
    let addresses: Vec<&String> = result.nodes.iter().map(|node| &node.address).collect();
    assert_eq!(addresses, own.iter().collect::<Vec<_>>());
    let seen = evidence(&result, "apart");
    for own in [&own[0], &own[2]] {
        assert!(seen.contains(&format!("dropped {own}")), "{seen}");
    }
    assert!(seen.contains("while in force: 0 of "), "{seen}");
    // Nobody else's rule may come before those that spare SSH, which comes from the machine's own address.
    let harness = cluster.info().harness_address();
    assert!(seen.contains(&format!("management {harness} 22")), "{seen}");
    assert!(
        seen.contains("management connection after install"),
        "{seen}"
    );
    cluster.down().unwrap();
}

#[test]
fn services_clients_and_faults_use_ipv6_while_ssh_uses_ipv4() {
    let cluster = cluster(4);
    let own = ipv6_addresses(&cluster);
    if own.is_empty() {
        eprintln!("not tested: this kernel has no IPv6");
        return;
    }
    let result = cut(&cluster, &own);
    // SSH comes by IPv4; the clients, which are cut off from the router, by IPv6.
    let seen = evidence(&result, "no_clients");
    let dropped = seen
        .lines()
        .find(|line| line.contains("packets counted by rule `dropped fd"));
    let dropped = dropped.unwrap_or_else(|| panic!("{seen}"));
    assert!(!dropped.ends_with(": 0"), "{dropped}");
    assert!(!seen.contains("`dropped 10."), "{seen}");
    cluster.down().unwrap();
}

#[test]
fn an_address_that_leads_to_no_node_or_to_another_is_found_before_the_run_begins() {
    let cluster = cluster(4);
    let right = second_addresses(&cluster);
    let dir = scratch();
    let file = scenario_file(&dir, "cut.toml", CUT);
    let out = runs(&dir);
    let (first, third) = (&cluster.nodes()[0].host, &cluster.nodes()[2].host);

    let mut own = right.clone();
    own[0] = format!("{}.{NOBODY}", prefix(&cluster));
    let ended = run_at(&cluster, &own, &file, &out);
    ended.expect(3);
    let expected = format!(
        "{first}: nobody finds it at {}: it has {first}, {}",
        own[0], right[0]
    );
    assert!(ended.stderr.contains(&expected), "{}", ended.said());

    let mut own = right.clone();
    own[0] = third.clone();
    let ended = run_at(&cluster, &own, &file, &out);
    ended.expect(3);
    let expected = format!("{first}: {third} is an address of {third}; {first} has {first}, ");
    assert!(ended.stderr.contains(&expected), "{}", ended.said());

    assert!(!Path::new(&out).exists(), "a run has begun");
    cluster.down().unwrap();
}
