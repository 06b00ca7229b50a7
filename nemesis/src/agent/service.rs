//! Services this node was told to run: their records, their state, and ending them.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::clock;
use super::disk;
use super::durable;
use super::ended::Ended;
use super::error::AgentError;
use super::local;
use super::process::ProcessId;
use super::spawn;
use super::state_dir::{StateDir, StateLock};
use crate::protocol::{Service, ServiceState, is_service_name};

/// How long killed processes may take to vanish (one in an uninterruptible wait takes its time).
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A service that was started here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its first process, leader of its session.
    pub(crate) process: ProcessId,
    /// What was started.
    pub(crate) service: Service,
}

impl Record {
    pub(crate) fn path(state: &StateDir, name: &str) -> PathBuf {
        state.services().join(format!("{name}.json"))
    }

    /// The record of a service; `None` if it was never started, or forgotten.
    pub(crate) fn load(lock: &StateLock<'_>, name: &str) -> Result<Option<Self>, AgentError> {
        Self::look(lock.state, name)
    }

    /// As [`Record::load`], for who can't wait for the lock; the record is whole, but may be replaced at any time.
    pub(crate) fn look(state: &StateDir, name: &str) -> Result<Option<Self>, AgentError> {
        check_name(name)?;
        durable::read(&Self::path(state, name))
    }

    /// What [`ServiceState`] it is in.
    pub(crate) fn state(&self, state: &StateDir) -> ServiceState {
        let pid = self.process.pid;
        match self.process.state() {
            Some(kernel_state) if self.process.is_alive() => ServiceState::Running {
                pid,
                kernel_state,
                rss_kib: self.process.tree().iter().map(ProcessId::rss_kib).sum(),
            },
            _ => {
                let (how, core) = match Ended::of(state, &self.service.name, pid) {
                    Some(ended) => (Some(ended.how), ended.core),
                    None => (None, None),
                };
                ServiceState::Dead { pid, how, core }
            }
        }
    }
}

/// Starts a service that doesn't run.
pub(crate) fn start(state: &StateDir, service: &Service) -> Result<ServiceState, AgentError> {
    let lock = state.lock()?;
    if let Some(record) = Record::load(&lock, &service.name)?
        && record.process.is_alive()
    {
        return Err(AgentError::Running {
            name: service.name.clone(),
            pid: record.process.pid,
        });
    }
    Ok(spawn(&lock, service)?.state(state))
}

/// Starts a service and puts it under the faults that hold for it.
pub(crate) fn spawn(lock: &StateLock<'_>, service: &Service) -> Result<Record, AgentError> {
    let record = spawn::spawn(lock, service)?;
    clock::extend(lock)?;
    local::extend(lock)?;
    Ok(record)
}

/// State of a service.
pub(crate) fn status(state: &StateDir, name: &str) -> Result<ServiceState, AgentError> {
    let lock = state.lock()?;
    Ok(Record::load(&lock, name)?.map_or(ServiceState::Unknown, |record| record.state(state)))
}

/// Ends a service, kindly at first, and forgets it. Holds no lock while it waits.
pub(crate) fn stop(
    state: &StateDir,
    name: &str,
    patience: Duration,
) -> Result<ServiceState, AgentError> {
    let record = Record::load(&state.lock()?, name)?
        .ok_or_else(|| AgentError::NoSuchService(name.to_owned()))?;
    record.process.signal(Signal::SIGTERM)?;
    wait_until(patience, || !record.process.is_alive());
    if !kill_tree(&record.process)? {
        return Err(AgentError::StillThere(format!(
            "service `{name}` survives SIGKILL"
        )));
    }
    let lock = state.lock()?;
    if Record::load(&lock, name)?.as_ref() == Some(&record) {
        durable::remove(&Record::path(state, name))?;
        durable::remove(&Ended::path(state, name))?;
    }
    Ok(record.state(state))
}

/// Ends and forgets every service on record, as [`stop`] does one, and removes the disks; tries all, and
/// reports the first failure.
pub(crate) fn stop_all(state: &StateDir, patience: Duration) -> Result<(), AgentError> {
    let mut outcome = Ok(());
    for name in names(state)? {
        outcome = outcome.and(stop(state, &name, patience).map(|_| ()));
    }
    outcome.and(disk::remove_all(&state.lock()?))
}

/// Whether any service on record runs.
pub(crate) fn any_alive(lock: &StateLock<'_>) -> Result<bool, AgentError> {
    Ok(!alive(lock)?.is_empty())
}

/// The services that run.
pub(crate) fn alive(lock: &StateLock<'_>) -> Result<Vec<Record>, AgentError> {
    let mut alive = Vec::new();
    for name in names(lock.state)? {
        let record = Record::load(lock, &name)?;
        alive.extend(record.filter(|record| record.process.is_alive()));
    }
    Ok(alive)
}

/// Names of all services on record.
fn names(state: &StateDir) -> Result<Vec<String>, AgentError> {
    let directory = state.services();
    let read = |source| AgentError::file("read", &directory)(source);
    let mut names = Vec::new();
    for file in fs::read_dir(&directory).map_err(read)? {
        let path = file.map_err(read)?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str());
        // Anything else was left by a writer that died before its rename.
        if let (Some(name), Some("json")) = (name, path.extension().and_then(|e| e.to_str())) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Kills every process of a service; true if all are gone. Repeats, as they may start more meanwhile.
pub(crate) fn kill_tree(leader: &ProcessId) -> Result<bool, AgentError> {
    let give_up = Instant::now() + KILL_PATIENCE;
    loop {
        let tree = leader.tree();
        if tree.is_empty() {
            return Ok(true);
        }
        if Instant::now() >= give_up {
            return Ok(false);
        }
        for process in tree {
            process.signal(Signal::SIGKILL)?;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Looks every millisecond whether `done`; false if it wasn't within `patience`.
pub(crate) fn wait_until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let give_up = Instant::now() + patience;
    while !done() {
        if Instant::now() >= give_up {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Refuses names that could leave the directory of records.
pub(crate) fn check_name(name: &str) -> Result<(), AgentError> {
    if is_service_name(name) {
        Ok(())
    } else {
        Err(AgentError::Name {
            what: "service",
            name: name.to_owned(),
            allowed: "[a-z0-9_-]{1,32}",
        })
    }
}
