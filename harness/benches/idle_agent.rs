//! What an agent costs its node while no fault is due: processor time and memory of its processes, on 5 nodes.
//!
//! Exits non-zero if an agent takes 1 % of a processor or more, or 32 MiB.

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
    let before = agents();
    let (cluster, links, _inbox) = linked_cluster::start("bench-idle-agent", NODES);
    // What starting takes is over.
    sleep(Duration::from_secs(2));
    let ours: Vec<u32> = agents()
        .into_iter()
        .filter(|pid| !before.contains(pid))
        .collect();
    let start = ticks(&ours);
    sleep(WATCHED);
    let spent = ticks(&ours) - start;
    let nodes = NODES as f64;
    let seconds = spent as f64 / ticks_a_second() as f64;
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

/// The agents and watchdogs on this machine, in whatever namespace.
fn agents() -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            line.split('\0')
                .next()
                .is_some_and(|word| word.contains("shakedown-agent"))
        })
    })
    .collect()
}

/// Processor time of these processes, in clock ticks.
fn ticks(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in parentheses: state, ..., utime and stime as 14th and 15th of the line.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    pids.iter().filter_map(of).sum()
}

fn ticks_a_second() -> u64 {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let ticks = per_second.ok().flatten().expect("Linux has clock ticks");
    ticks.unsigned_abs()
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}
