//! What a process beside the agent has done so far, in a file that it writes and the agent reads.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::durable;
use super::process::ProcessId;
use super::service::wait_until;

/// Asks the process to write its account.
pub(crate) const TELL: Signal = Signal::SIGUSR1;

/// How long it may take to say what it did; on a busy host a process waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts, and how often the agent had asked for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account<T> {
    pub(crate) asked: u64,
    pub(crate) totals: T,
}

impl<T: Serialize + DeserializeOwned> Account<T> {
    /// Reads a file; `None` if there is none yet.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes the file, so that a reader sees all or nothing.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        durable::show(path, self)
    }
}

/// Has a process write its account, and reads it; the last it wrote by itself if it doesn't answer.
pub(crate) fn latest<T>(process: &ProcessId, path: &Path) -> Option<T>
where
    T: Serialize + DeserializeOwned,
{
    let mut latest = Account::read(path);
    let asked = latest.as_ref().map_or(0, |account| account.asked);
    if process.signal(TELL).is_ok() {
        wait_until(PATIENCE, || {
            latest = Account::read(path);
            latest.as_ref().is_some_and(|now| now.asked > asked) || !process.is_alive()
        });
    }
    latest.map(|account| account.totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_again_in_its_file_and_none_where_there_is_no_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("totals.json");
        assert_eq!(Account::<u64>::read(&path), None);
        let account = Account {
            asked: 1,
            totals: 7_u64,
        };
        account.write(&path).unwrap();
        assert_eq!(Account::read(&path), Some(account));
    }
}
