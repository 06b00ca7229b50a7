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

/// Patience for a launcher to collect its dead child, and end itself.
const COLLECTION: Duration = Duration::from_secs(1);

struct Process {
    pid: i32,
    /// The first process of a node. The kernel kills all others of the node with it.
    is_first: bool,
}

/// Kills every launcher, and the first process of every node, and waits until they are gone.
pub(crate) fn kill_all(cluster: &str) -> Result<(), ClusterError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Scanned again after each round: a launcher may have started a node's first process meanwhile.
        let processes = of_cluster(cluster)?;
        if processes.is_empty() {
            return Ok(());
        }
        // Children before parents: a dead launcher could not collect its child.
        let (first, launchers): (Vec<Process>, Vec<Process>) =
            processes.into_iter().partition(|p| p.is_first);
        kill_each(cluster, &first, deadline)?;
        await_collection(&first);
        kill_each(cluster, &launchers, deadline)?;
    }
}

fn kill_each(cluster: &str, processes: &[Process], deadline: Instant) -> Result<(), ClusterError> {
    for process in processes {
        // It may have ended since it was listed, which is as good.
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    for process in processes {
        // The first process of a PID namespace becomes a zombie only after all others in it are gone.
        while !matches!(state(process.pid), None | Some('Z' | 'X')) {
            if Instant::now() > deadline {
                return Err(ClusterError::LeftBehind {
                    name: cluster.to_owned(),
                    what: format!("process {} does not die", process.pid),
                });
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Zombies whose launcher was killed before are left to the machine's own first process.
fn await_collection(zombies: &[Process]) {
    let deadline = Instant::now() + COLLECTION;
    while zombies.iter().any(|z| state(z.pid).is_some()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

fn of_cluster(cluster: &str) -> Result<Vec<Process>, ClusterError> {
    let below = run_dir(cluster);
    let entries = fs::read_dir("/proc").map_err(ClusterError::io("read", "/proc"))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| identify(pid, &below)).collect())
}

/// The process, if its arguments are the hidden subcommand, a role, and a path of the cluster.
fn identify(pid: i32, below: &Path) -> Option<Process> {
    let command_line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = command_line.split('\0').skip_while(|a| *a != SUBCOMMAND);
    let (role, order) = (arguments.nth(1)?, arguments.next()?);
    Path::new(order).starts_with(below).then_some(Process {
        pid,
        // While it is still `setpriv` it is the first process as well, with the same arguments.
        is_first: role == "init",
    })
}

/// The kernel's letter for a process's state; `None` if it is gone.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
