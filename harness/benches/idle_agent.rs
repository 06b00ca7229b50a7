//! What an agent costs its node while no fault is due: processor time and memory of its processes, on 5 nodes.
//!
//! Exits non-zero if an agent takes 1 % of a processor or more, or 32 MiB.

mod agents;
mod linked_cluster;

use std::fs;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const NODES: usize = 5;
const WATCHED: Duration = Duration::from_secs(20);
const LIMIT_PERCENT: f64 = 1.0;
const LIMIT_MIB: f64 = 32.0;

fn main() -> ExitCode {
    let before = agents::all();
    let (cluster, links, _inbox) = linked_cluster::start("bench-idle-agent", NODES);
    // What starting takes is over.
    sleep(Duration::from_secs(2));
    let ours: Vec<u32> = agents::all()
        .into_iter()
        .filter(|pid| !before.contains(pid))
        .collect();
    let start = agents::seconds_of_processor(&ours);
    sleep(WATCHED);
    let seconds = agents::seconds_of_processor(&ours) - start;
    let nodes = NODES as f64;
    let percent = seconds / WATCHED.as_secs_f64() * 100.0 / nodes;
    let mib = ours.iter().map(|pid| resident_kib(*pid)).sum::<u64>() as f64 / 1024.0 / nodes;
    println!(
        "an idle agent ({} processes on {NODES} nodes): {percent:.3} % of a processor, {mib:.1} MiB, over {WATCHED:?}",
        ours.len()
    );
    for link in links {
        link.close();
    }
    cluster.down().expect("the cluster comes down");
    ExitCode::from(u8::from(percent >= LIMIT_PERCENT || mib >= LIMIT_MIB))
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}
