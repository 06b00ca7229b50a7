//! How long a local cluster of five takes from nothing to the first command on every node, and to nothing again.
//!
//! `cargo bench -p shakedown --bench cluster_up`; needs root. `RUNS` sets how often (10).
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure should stop"
)]

use std::time::{Duration, Instant};

use shakedown::cluster::{ClusterSpec, LocalCluster};
use shakedown::control::{Remote, SshRemote};

fn main() {
    let runs: usize = std::env::var("RUNS").map_or(10, |n| n.parse().unwrap());
    let mut up = Vec::new();
    let mut down = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        let mut spec = ClusterSpec::new(format!("bench-{}", std::process::id()), 5);
        spec.launcher = Some(env!("CARGO_BIN_EXE_shakedown").into());
        let cluster = LocalCluster::up(spec).unwrap();
        let access = cluster.access();
        std::thread::scope(|scope| {
            for node in cluster.nodes() {
                let remote = SshRemote::new(node, &access).unwrap();
                scope.spawn(move || assert_eq!(remote.run("hostname").unwrap(), node.name));
            }
        });
        up.push(start.elapsed());
        let start = Instant::now();
        cluster.down().unwrap();
        down.push(start.elapsed());
    }
    report("up, to the first command on all 5 nodes", up);
    report("down", down);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "{what}: min {:.3?}, median {:.3?}, max {:.3?} of {} runs",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1],
        times.len()
    );
}
