//! What is written about a cluster on disk: its record, its owner, and the lock that serialises changes.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{ClusterError, Subnet};
use crate::control::{Access, NodeAddress};

/// State of all clusters: lost at reboot, as are the clusters.
pub(crate) const RUN_ROOT: &str = "/run/shakedown/clusters";
/// The nodes' files, unless a cluster has its own directory for them.
pub(crate) const DATA_ROOT: &str = "/var/lib/shakedown/clusters";

const LOCK: &str = "/run/shakedown/lock";

/// A process, told from a later one with the same number by its start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pid: u32,
    /// Clock ticks after boot.
    start: u64,
}

impl Owner {
    pub(crate) fn this_process() -> Owner {
        let pid = std::process::id();
        Owner {
            pid,
            start: start_time(pid).unwrap_or(0),
        }
    }

    fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }
}

fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold spaces and parentheses; fields after it are counted from 3, start time is 22.
    let (_, after_command) = stat.rsplit_once(')')?;
    after_command.split_whitespace().nth(19)?.parse().ok()
}

/// Everything needed to use a cluster, or to take it down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its name.
    pub name: String,
    /// Its network.
    pub subnet: Subnet,
    /// Whether it outlives the command that made it.
    pub detached: bool,
    /// Holds the nodes' files.
    pub(crate) data: PathBuf,
    pub(crate) owner: Owner,
    pub(crate) node_names: Vec<String>,
}

impl ClusterInfo {
    /// The nodes, `n1` first.
    pub fn nodes(&self) -> Vec<NodeAddress> {
        let named = self.node_names.iter().zip(0..);
        named
            .map(|(name, index)| NodeAddress {
                name: name.clone(),
                host: self.subnet.node(index).to_string(),
                port: None,
                user: None,
                cluster: Vec::new(),
            })
            .collect()
    }

    /// How to log in to the nodes.
    pub fn access(&self) -> Access {
        Access {
            user: Some("root".to_owned()),
            key: Some(self.client_key()),
            known_hosts: self.known_hosts(),
            ssh_config: None,
            ..Access::default()
        }
    }

    /// The machine's address in the cluster's subnet, from which the harness speaks.
    pub fn harness_address(&self) -> Ipv4Addr {
        self.subnet.gateway()
    }

    /// The network device at the machine's end: where to listen to all traffic between harness and nodes.
    pub fn uplink(&self) -> String {
        super::network::uplink(&self.name)
    }

    /// Whether the process that made it is gone although the cluster was to go with it.
    pub fn is_stale(&self) -> bool {
        !self.detached && !self.owner.alive()
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        run_dir(&self.name)
    }

    pub(crate) fn client_key(&self) -> PathBuf {
        self.run_dir().join("id_ed25519")
    }

    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.run_dir().join("known_hosts")
    }

    /// The node's files, without those it shares with the machine.
    pub(crate) fn node_data(&self, node: &str) -> PathBuf {
        self.data.join(node)
    }

    /// What the node's launcher, its first process and its sshd say.
    pub(crate) fn node_log(&self, node: &str) -> PathBuf {
        self.run_dir().join(format!("{node}.log"))
    }

    /// Writes the record; the cluster exists from here on.
    pub(crate) fn save(&self) -> Result<(), ClusterError> {
        let dir = self.run_dir();
        fs::create_dir_all(&dir).map_err(ClusterError::io("create", &dir))?;
        let path = dir.join("cluster.json");
        let text = serde_json::to_vec(self).expect("a record has only strings for keys");
        fs::write(&path, text).map_err(ClusterError::io("write", &path))
    }
}

pub(crate) fn run_dir(name: &str) -> PathBuf {
    Path::new(RUN_ROOT).join(name)
}

/// The record of a cluster; `None` if there is none, or if its maker was killed while writing it.
pub(crate) fn load(name: &str) -> Result<Option<ClusterInfo>, ClusterError> {
    let path = run_dir(name).join("cluster.json");
    match fs::read(&path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ClusterError::io("read", path)(e)),
    }
}

/// Names of all clusters that left a trace, sorted.
pub(crate) fn names() -> Result<Vec<String>, ClusterError> {
    names_in(RUN_ROOT)
}

/// Names in a directory of clusters, sorted; none if there is no such directory.
pub(crate) fn names_in(dir: &str) -> Result<Vec<String>, ClusterError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ClusterError::io("read", dir)(e)),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Held while clusters are claimed or taken down; released when dropped, or by the kernel.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn acquire() -> Result<Lock, ClusterError> {
        fs::create_dir_all(RUN_ROOT).map_err(ClusterError::io("create", RUN_ROOT))?;
        let file = File::create(LOCK).map_err(ClusterError::io("create", LOCK))?;
        file.lock().map_err(ClusterError::io("lock", LOCK))?;
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_with_the_same_pid_but_another_start_is_gone() {
        let owner = Owner::this_process();
        assert!(owner.alive());
        let predecessor = Owner {
            start: owner.start + 1,
            ..owner
        };
        assert!(!predecessor.alive());
    }
}
