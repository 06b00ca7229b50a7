//! The torturer tortured: whatever is killed, and whenever, nodes are as they were within the lease.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod local_nodes;
mod run;

use std::time::{Duration, Instant};

use local_nodes::cluster;
use nix::sys::signal::Signal;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use run::{Running, on_node, run, scratch};

/// Rounds in the short form; `SHAKEDOWN_TORTURE_ROUNDS=100` for the long one.
const ROUNDS: u64 = 10;
const LEASE_MS: &str = "5000";
/// From a kill to healed nodes: the lease, and what a busy machine takes to undo.
const HEALED: Duration = Duration::from_secs(60);
/// A rule of the host's own, which no fault may touch.
const HOST_RULE: &str = "nft add table inet hosts_own && nft add chain inet hosts_own input '{ type filter hook input priority 0; }' && nft add rule inet hosts_own input udp dport 9 drop";
/// Prints what faults have left, from the kernel and from the ledger, without the agent's help.
const LEFT: &str = "nft list tables | grep shakedown; ls /var/lib/shakedown/ledger; \
    grep -l '^State:.[Tt]' /proc/[0-9]*/status 2>/dev/null; \
    nft list table inet hosts_own | grep -q 'udp dport 9 drop' || echo the rule of the host is gone";

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Harness,
    Agent,
    Connection,
}

fn left_on(cluster: &str, node: &str) -> String {
    on_node(cluster, node, LEFT).stdout
}

fn until_clean(cluster: &str, node: &str, what: &str) {
    let deadline = Instant::now() + HEALED;
    loop {
        let left = left_on(cluster, node);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: left on {node}:\n{left}");
    }
}

#[test]
fn whatever_is_killed_and_whenever_nothing_is_left_and_the_hosts_own_rules_stay() {
    let rounds =
        std::env::var("SHAKEDOWN_TORTURE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let nodes = cluster(4);
    let info = nodes.info().clone();
    let all = info.nodes();
    let names: Vec<&str> = all.iter().map(|node| node.name.as_str()).collect();
    for node in &names {
        on_node(&info.name, node, HOST_RULE).expect(0);
    }
    let (mut struck, mut killed) = (0_u64, 0_u64);
    for round in 0..rounds {
        let mut rng = ChaCha8Rng::seed_from_u64(round);
        let victim = [Victim::Harness, Victim::Agent, Victim::Connection][rng.random_range(0..3)];
        let node = names[rng.random_range(0..names.len())];
        let what = format!("round {round}, {victim:?} {node}");
        let out = scratch();
        let mut harness = Running::start(&[
            "torture",
            "--system",
            "miroir",
            "--cluster",
            &info.name,
            "--lease-ms",
            LEASE_MS,
            "--interval",
            "1s",
            "--hold",
            "1500ms",
            "--at-once",
            "3",
            "--time",
            "2m",
            "--seed",
            &round.to_string(),
            "--out",
            &out.path().display().to_string(),
        ]);
        // Announced with the progress, every two seconds: by now some fault was in force, or is.
        harness.until("a fault is in force", || {
            names
                .iter()
                .any(|node| !left_on(&info.name, node).is_empty())
        });
        std::thread::sleep(Duration::from_millis(rng.random_range(0..3000)));
        struck += u64::from(!left_on(&info.name, node).is_empty());
        match victim {
            Victim::Harness => killed += 1,
            // The agent's own processes are found by name: they are the only ones on this node. On a busy machine a
            // harness may have given up an agent that it did not hear for a lease, and there is none to kill.
            Victim::Agent => {
                let kill = "pkill -9 -f '[s]hakedown-agent.* serve'";
                killed += u64::from(on_node(&info.name, node, kill).code == Some(0));
                until_clean(&info.name, node, &what);
            }
            Victim::Connection => {
                // The session's process is the agent's parent, or its parent's.
                let cut = "agent=$(pgrep -o -f '[s]hakedown-agent.* serve') && up=$(ps -o ppid= -p $agent) \
                    && kill -9 $up";
                killed += u64::from(on_node(&info.name, node, cut).code == Some(0));
                until_clean(&info.name, node, &what);
            }
        }
        harness.signal(Signal::SIGKILL);
        harness.ended();
        for node in &names {
            until_clean(&info.name, node, &what);
        }
    }
    assert!(
        struck > 0,
        "in no round was anything in force where it mattered"
    );
    println!("{rounds} rounds: {killed} victims killed, {struck} times with something in force");
    assert!(
        killed * 2 > rounds,
        "victims were gone before they were killed"
    );
    let healed = run(&["heal", "--cluster", &info.name]);
    healed.expect(0);
    assert!(!healed.stdout.contains("undone:"), "{}", healed.said());
    nodes.down().unwrap();
}
