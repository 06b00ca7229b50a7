//! How services ended: noted by the process that started them, the only one that the kernel tells.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::core_dump::Pattern;
use super::durable;
use super::state_dir::StateDir;
use crate::protocol::CoreFile;

/// Processes that this one started and whose end it has not noted yet.
static AWAITED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
/// One of them less.
static NOTED: Condvar = Condvar::new();
/// Patience for a note: it takes as long as the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// The end of a service's first process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pid: i32,
    pub(crate) how: String,
    #[serde(default)]
    pub(crate) core: Option<CoreFile>,
}

impl Ended {
    /// Where the last end of a service is noted.
    pub(crate) fn path(state: &StateDir, service: &str) -> PathBuf {
        state.services().join(format!("{service}.ended"))
    }

    /// What the kernel said of it, and what it did with the core of a process that was started in `dir` at `since`;
    /// `None` for an end as on request.
    pub(crate) fn new(
        pid: u32,
        status: ExitStatus,
        (dir, since): (&Path, SystemTime),
    ) -> Option<Self> {
        let as_asked = status.success() || status.signal() == Some(Signal::SIGTERM as i32);
        if as_asked {
            return None;
        }
        let (mut how, mut core) = (words(status), None);
        if status.core_dumped() {
            let found = Pattern::read().map(|pattern| pattern.find(dir, pid, since));
            let (where_to, file) = found.unwrap_or(("core dumped".to_owned(), None));
            how += &format!(", {where_to}");
            core = file;
        }
        Some(Ended {
            pid: pid.cast_signed(),
            how,
            core,
        })
    }

    /// How this process of a service ended, if that was seen. The process is gone; if its end is just being noted, this
    /// waits for it.
    pub(crate) fn of(state: &StateDir, service: &str, pid: i32) -> Option<Self> {
        let awaited = AWAITED.lock().unwrap_or_else(PoisonError::into_inner);
        let number = pid.cast_unsigned();
        // What comes of it shows in the note.
        drop(NOTED.wait_timeout_while(awaited, PATIENCE, |awaited| awaited.contains(&number)));
        let ended: Option<Ended> = durable::read(&Self::path(state, service)).ok()?;
        ended.filter(|ended| ended.pid == pid)
    }
}

/// The end of a process will be noted.
pub(crate) fn await_note(pid: u32) {
    let mut awaited = AWAITED.lock().unwrap_or_else(PoisonError::into_inner);
    awaited.insert(pid);
}

/// The end of a process is noted, if it could be.
pub(crate) fn noted(pid: u32) {
    let mut awaited = AWAITED.lock().unwrap_or_else(PoisonError::into_inner);
    awaited.remove(&pid);
    NOTED.notify_all();
}

/// `SIGSEGV`, or `exit status: 1`.
fn words(status: ExitStatus) -> String {
    let Some(number) = status.signal() else {
        return status.to_string();
    };
    Signal::try_from(number).map_or(format!("signal {number}"), |s| s.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: i32) -> Option<Ended> {
        let nowhere = Path::new("/no/such/directory");
        Ended::new(
            7,
            ExitStatus::from_raw(status),
            (nowhere, SystemTime::now()),
        )
    }

    #[test]
    fn an_end_says_which_signal_and_whether_there_is_a_core() {
        assert_eq!(ended(11).unwrap().how, "SIGSEGV");
        let dumped = ended(6 | 0x80).unwrap();
        assert!(dumped.how.starts_with("SIGABRT, core "), "{}", dumped.how);
        assert_eq!(ended(3 << 8).unwrap().how, "exit status: 3");
        assert!(ended(15).is_none());
        assert!(ended(0).is_none());
        assert!(ended(9).is_some());
    }
}
