//! The agents' processes on this machine, and what they cost.

use std::fs;

/// The agents, watchdogs and processes of faults on this machine, in whatever namespace.
pub(crate) fn all() -> Vec<u32> {
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

/// Processor time of these processes so far, in seconds.
pub(crate) fn seconds_of_processor(pids: &[u32]) -> f64 {
    let of = |pid: &u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name in parentheses: state, ..., utime and stime as 14th and 15th of the line.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    let ticks: u64 = pids.iter().filter_map(of).sum();
    ticks as f64 / ticks_a_second() as f64
}

fn ticks_a_second() -> u64 {
    let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let ticks = per_second.ok().flatten().expect("Linux has clock ticks");
    ticks.unsigned_abs()
}
