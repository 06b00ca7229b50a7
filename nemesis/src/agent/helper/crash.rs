//! A service that is killed whenever it runs.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::Account;
use crate::agent::error::AgentError;
use crate::agent::service::{self, Record};
use crate::agent::state_dir::StateDir;

/// Kills a service, starts it again after a while, and so on, until it is forgotten.
pub(super) fn crash_loop(
    state: &StateDir,
    service: &str,
    up: Duration,
    down: Duration,
    account: &Path,
) -> Result<(), AgentError> {
    let mut so_far = Account::default();
    let mut write = |killed: u64, started: u64| {
        so_far.done += killed;
        so_far.rounds += started;
        so_far
            .write(account)
            .map_err(AgentError::file("write", account))
    };
    // The lock is the agent's until the fault is in place, so the first kill must not wait for it.
    let mut record = Record::look(state, service)?;
    loop {
        let Some(current) = record else {
            return Ok(());
        };
        if service::kill_tree(&current.process)? {
            write(1, 0)?;
        }
        thread::sleep(down);
        let lock = state.lock()?;
        record = Record::load(&lock, service)?;
        if let Some(current) = &record
            && !current.process.is_alive()
        {
            record = Some(service::spawn(&lock, &current.service)?);
            write(0, 1)?;
        }
        drop(lock);
        thread::sleep(up);
    }
}
