//! Takes clusters down, from whatever state they are in.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::record::{self, ClusterInfo, DATA_ROOT, Lock};
use super::{ClusterError, groups, network, processes};

/// All clusters that are up, by name; stale ones too.
///
/// # Errors
/// The state directory cannot be read.
pub fn list() -> Result<Vec<ClusterInfo>, ClusterError> {
    let mut clusters = Vec::new();
    for name in record::names()? {
        clusters.extend(record::load(&name)?);
    }
    Ok(clusters)
}

/// Takes a cluster down, whoever made it.
///
/// # Errors
/// No cluster has this name, or something could not be removed.
pub fn down(name: &str) -> Result<(), ClusterError> {
    if !record::names()?.iter().any(|n| n == name) {
        return Err(ClusterError::NotFound(name.to_owned()));
    }
    remove(name)
}

/// Takes down every cluster whose maker is gone, unless it is detached. Returns their names.
///
/// # Errors
/// Something could not be removed; the rest was tried.
pub fn reap_stale() -> Result<Vec<String>, ClusterError> {
    let _lock = Lock::acquire()?;
    let mut reaped = Vec::new();
    let mut failure = None;
    for name in record::names()? {
        // Under the lock nobody is writing a record: one that cannot be read was left by a killed process.
        if record::load(&name)?.is_some_and(|info| !info.is_stale()) {
            continue;
        }
        match remove_locked(&name) {
            Ok(()) => reaped.push(name),
            Err(e) => failure = Some(e),
        }
    }
    remove_forgotten_files()?;
    failure.map_or(Ok(reaped), Err)
}

/// Nodes' files outlive a reboot, their cluster's record does not.
fn remove_forgotten_files() -> Result<(), ClusterError> {
    let recorded = record::names()?;
    for name in record::names_in(DATA_ROOT)? {
        if !recorded.contains(&name) {
            remove_dir(&Path::new(DATA_ROOT).join(name))?;
        }
    }
    Ok(())
}

/// Removes everything a cluster may have; what is not there is no error.
pub(crate) fn remove(name: &str) -> Result<(), ClusterError> {
    let _lock = Lock::acquire()?;
    remove_locked(name)
}

fn remove_locked(name: &str) -> Result<(), ClusterError> {
    processes::kill_all(name)?;
    groups::remove_orphans();
    network::remove_uplink(name)?;
    if let Some(info) = record::load(name)? {
        remove_dir(&info.data)?;
        network::remove_leak_guard(info.subnet)?;
    }
    // Last: until here, the record tells the next attempt what to remove.
    remove_dir(&record::run_dir(name))
}

fn remove_dir(dir: &Path) -> Result<(), ClusterError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ClusterError::io("remove", dir)(e)),
        _ => Ok(()),
    }
}
