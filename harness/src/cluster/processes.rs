//! Finds and ends the processes of a cluster, by their command lines: process numbers on disk would be stale
//! after a kill at the wrong instant.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ClusterError;
use super::node_init::SUBCOMMAND;
use super::record::run_dir;

/// Patience for killed processes to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kills every launcher, and the first process of every node, and waits until they are gone. A node's other
/// processes go with its first: the kernel kills a PID namespace whole.
pub(crate) fn kill_all(cluster: &str) -> Result<(), ClusterError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Scanned again after each round: a launcher may have started a node's first process meanwhile.
        let pids = of_cluster(cluster)?;
        if pids.is_empty() {
            return Ok(());
        }
        for pid in &pids {
            // It may have ended since it was listed, which is as good.
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        for pid in pids {
            while running(pid) {
                if Instant::now() > deadline {
                    return Err(ClusterError::LeftBehind {
                        name: cluster.to_owned(),
                        what: format!("process {pid} does not die"),
                    });
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

fn of_cluster(cluster: &str) -> Result<Vec<i32>, ClusterError> {
    let below = run_dir(cluster);
    let entries = fs::read_dir("/proc").map_err(ClusterError::io("read", "/proc"))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| belongs(*pid, &below)).collect())
}

fn belongs(pid: i32, below: &Path) -> bool {
    let Ok(command_line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let mut arguments = command_line.split(|b| *b == 0);
    arguments.any(|a| a == SUBCOMMAND.as_bytes())
        && arguments
            .filter_map(|a| std::str::from_utf8(a).ok())
            .any(|a| Path::new(a).starts_with(below))
}

/// Whether a process is neither gone nor a zombie. The first process of a PID namespace becomes a zombie only
/// after all others in it are gone.
fn running(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !matches!(
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next()),
        Some('Z' | 'X') | None
    )
}
