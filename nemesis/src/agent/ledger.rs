//! The ledger: one file per fault in place, on disk before the fault has an effect, removed once its
//! undoing was seen to work.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup::Group;
use super::clock::Moment;
use super::durable;
use super::error::AgentError;
use super::local::{Frequency, Reading};
use super::process::{self, ProcessId};
use super::state_dir::{StateDir, StateLock};
use crate::fault::NodeFault;
use crate::outcome::NodeOutcome;
use crate::protocol::is_fault_name;

/// A fault in place, or about to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The run it belongs to.
    pub(crate) run: String,
    /// Its name within the run.
    pub(crate) fault: String,
    /// What was ordered.
    pub(crate) order: NodeFault,
    /// The agent that installed it. Its boot is the fault's boot: nothing of a fault but files outlives that.
    pub(crate) agent: ProcessId,
    /// What its lots are drawn from.
    #[serde(default)]
    pub(crate) seed: u64,
    /// What undoes it.
    pub(crate) undo: Vec<UndoStep>,
    /// What installing it showed; absent until that is known.
    pub(crate) installed: Option<NodeOutcome>,
}

impl Entry {
    /// Whether the node runs since before the fault. Else only files can be left of it.
    pub(crate) fn is_of_this_boot(&self) -> Result<bool, AgentError> {
        let boot_id = process::boot_id()
            .map_err(AgentError::file("read", "/proc/sys/kernel/random".as_ref()))?;
        Ok(self.agent.boot_id == boot_id)
    }
}

/// Something that undoes a part of a fault. Each may be done any number of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum UndoStep {
    /// Delete an nftables table of the `inet` family.
    DeleteTable {
        /// Its name; carries run and fault, so it can't be someone else's.
        table: String,
    },
    /// Kill an nft process that might still load a table; comes before its table is deleted.
    EndLoader {
        /// Which.
        process: ProcessId,
    },
    /// End the process that does the lasting work of a fault.
    EndAttendant {
        /// Which.
        process: ProcessId,
        /// Where it keeps account.
        totals: PathBuf,
    },
    /// Send SIGCONT to a process.
    Continue {
        /// Which.
        process: ProcessId,
    },
    /// Kill what is left of a service that was to end by itself; comes before the service is started.
    KillRest {
        /// Its first process.
        process: ProcessId,
    },
    /// Mount a disk anew, if its power is off.
    Remount {
        /// Its mount point.
        disk: PathBuf,
    },
    /// Remove the file that fills a disk.
    RemoveFiller {
        /// The file.
        file: PathBuf,
    },
    /// Make the wall clocks right again that the fault shifted.
    RestoreClocks {
        /// By which they are known.
        tag: u64,
        /// The first process of the service when the fault struck.
        leader: ProcessId,
        /// When the fault struck, if its effect depends on that.
        since: Moment,
    },
    /// Set the host's own clock right.
    SetHostClockRight {
        /// How it went before.
        before: Reading,
        /// By how much the fault sets it off, milliseconds.
        offset_ms: i64,
    },
    /// Let the host's clocks run as fast as before, and set its wall clock right.
    SetHostClockRateRight {
        /// How they went before.
        before: Reading,
        /// How fast they ran before.
        natural: Frequency,
        /// How fast the fault lets them run.
        ours: Frequency,
    },
    /// Let the processes of a control group go on and go home, and remove it.
    RemoveGroup {
        /// Which.
        group: Group,
    },
    /// End a process that goes on acting for the fault.
    EndHelper {
        /// Which.
        process: ProcessId,
        /// Where it keeps account.
        account: PathBuf,
    },
    /// Give a service's processes the limit of open files that they had.
    RestoreFileLimit {
        /// The service.
        service: String,
        /// Its first process when the fault struck.
        leader: ProcessId,
        /// The limit by which they are known.
        ours: u64,
        /// The limit from before; none if there was none.
        before: Option<u64>,
    },
    /// Let everything pass the layer over a disk again.
    ClearLayer {
        /// Where the disk is mounted.
        over: PathBuf,
    },
    /// Remove a directory of the fault's own, with all that is in it.
    RemoveFiles {
        /// Which.
        directory: PathBuf,
    },
    /// Start a service, unless it runs or was forgotten since.
    StartService {
        /// Its name.
        service: String,
    },
}

/// The file of a fault; as names hold no dots, no two faults share one.
fn path(state: &StateDir, run: &str, fault: &str) -> PathBuf {
    state.ledger().join(format!("{run}.{fault}.json"))
}

/// Refuses names that could leave the ledger or clash in it.
pub(crate) fn check_names(run: &str, fault: &str) -> Result<(), AgentError> {
    for (what, name) in [("run", run), ("fault", fault)] {
        if !is_fault_name(name) {
            return Err(AgentError::Name {
                what,
                name: name.to_owned(),
                allowed: "[a-z0-9_]{1,24}",
            });
        }
    }
    Ok(())
}

/// Writes an entry, replacing an older version of it.
pub(crate) fn write(lock: &StateLock<'_>, entry: &Entry) -> Result<(), AgentError> {
    check_names(&entry.run, &entry.fault)?;
    durable::write(&path(lock.state, &entry.run, &entry.fault), entry)
}

/// Removes an entry.
pub(crate) fn remove(lock: &StateLock<'_>, entry: &Entry) -> Result<(), AgentError> {
    durable::remove(&path(lock.state, &entry.run, &entry.fault))
}

/// The entry of a fault.
pub(crate) fn find(
    lock: &StateLock<'_>,
    run: &str,
    fault: &str,
) -> Result<Option<Entry>, AgentError> {
    check_names(run, fault)?;
    durable::read(&path(lock.state, run, fault))
}

/// A file of the ledger and what it holds; one that can't be read is an error of its own.
pub(crate) type Listed = (String, Result<Entry, AgentError>);

/// All entries, by name of their files.
pub(crate) fn list(lock: &StateLock<'_>) -> Result<Vec<Listed>, AgentError> {
    let directory = lock.state.ledger();
    let read = |source| AgentError::file("read", &lock.state.ledger())(source);
    let mut found = Vec::new();
    for file in fs::read_dir(&directory).map_err(read)? {
        let file = file.map_err(read)?;
        let Ok(name) = file.file_name().into_string() else {
            continue;
        };
        // Left by a writer that died before its rename; its fault had no effect yet.
        if name.ends_with(".tmp") {
            durable::remove(&file.path())?;
            continue;
        }
        match durable::read(&file.path()) {
            Ok(Some(entry)) => found.push((name, Ok(entry))),
            Ok(None) => {}
            Err(error) => found.push((name, Err(error))),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fault: &str) -> Entry {
        Entry {
            run: "r1".into(),
            fault: fault.into(),
            order: NodeFault::Pause {
                service: "web".into(),
            },
            agent: ProcessId {
                pid: 7,
                start_ticks: 1,
                boot_id: "b".into(),
            },
            seed: 0,
            undo: vec![
                UndoStep::DeleteTable {
                    table: "shakedown_r1_f".into(),
                },
                UndoStep::Continue {
                    process: ProcessId {
                        pid: 412,
                        start_ticks: 9,
                        boot_id: "b".into(),
                    },
                },
                UndoStep::StartService {
                    service: "web".into(),
                },
            ],
            installed: None,
        }
    }

    #[test]
    fn entries_are_found_again_until_they_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        write(&lock, &entry("b")).unwrap();
        write(&lock, &entry("a")).unwrap();
        let listed: Vec<Entry> = list(&lock)
            .unwrap()
            .into_iter()
            .map(|(_, e)| e.unwrap())
            .collect();
        assert_eq!(listed, [entry("a"), entry("b")]);
        assert_eq!(find(&lock, "r1", "a").unwrap(), Some(entry("a")));
        remove(&lock, &entry("a")).unwrap();
        remove(&lock, &entry("a")).unwrap();
        assert_eq!(find(&lock, "r1", "a").unwrap(), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_reported_and_hides_no_other() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        write(&lock, &entry("b")).unwrap();
        fs::write(state.ledger().join("a.json"), "{").unwrap();
        fs::write(state.ledger().join("c.tmp"), "{").unwrap();
        let listed = list(&lock).unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed[0].1.is_err());
        assert_eq!(listed[1].1.as_ref().unwrap(), &entry("b"));
    }

    #[test]
    fn names_that_would_leave_the_ledger_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        for fault in ["", "..", "a/b", "A", "a.b", &"a".repeat(25)] {
            assert!(write(&lock, &entry(fault)).is_err(), "{fault}");
        }
    }

    #[test]
    fn the_lock_excludes_a_second_holder_until_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let lock = state.lock().unwrap();
        let brief = std::time::Duration::from_millis(20);
        assert!(state.lock_within(brief).unwrap().is_none());
        drop(lock);
        assert!(state.lock_within(brief).unwrap().is_some());
    }
}
