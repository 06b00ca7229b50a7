//! Which harness has this node: one at a time, for as long as it is heard.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::error::AgentError;
use super::state_dir::StateDir;

/// How often a node that is held is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// The node, held for a run until this is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Tenure {
    _file: File,
}

impl Tenure {
    /// Takes the node for a run; waits up to `patience` for an agent that is about to end.
    ///
    /// # Errors
    /// [`AgentError::Held`] if another run's agent has it.
    pub(crate) fn take(
        state: &StateDir,
        run: &str,
        patience: Duration,
    ) -> Result<Self, AgentError> {
        let path = state.root().join("harness");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(AgentError::file("open", &path))?;
        let give_up = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() >= give_up => {
                    return Err(held(&mut file));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(POLL),
                Err(TryLockError::Error(error)) => {
                    return Err(AgentError::file("lock", &path)(error));
                }
            }
        }
        let note = format!("{run} {}\n", now_s());
        file.set_len(0)
            .and_then(|()| file.write_all(note.as_bytes()))
            .map_err(AgentError::file("write", &path))?;
        Ok(Tenure { _file: file })
    }
}

/// Who holds the node, as far as its note says.
fn held(file: &mut File) -> AgentError {
    let mut note = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut note));
    let mut words = note.split_whitespace();
    let run = words.next().filter(|_| read.is_ok()).unwrap_or("(unknown)");
    let since: Option<u64> = words.next().and_then(|word| word.parse().ok());
    AgentError::Held {
        run: run.to_owned(),
        for_s: since.map_or(0, |since| now_s().saturating_sub(since)),
    }
}

fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_held_by_one_run_at_a_time_and_the_refusal_names_it() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let first = Tenure::take(&state, "first_run", Duration::ZERO).unwrap();
        let refused = Tenure::take(&state, "second", Duration::ZERO).unwrap_err();
        assert!(refused.to_string().contains("`first_run`"), "{refused}");
        drop(first);
        let second = Tenure::take(&state, "second", Duration::ZERO).unwrap();
        let refused = Tenure::take(&state, "third", Duration::ZERO).unwrap_err();
        assert!(refused.to_string().contains("`second`"), "{refused}");
        drop(second);
    }

    #[test]
    fn an_agent_that_is_about_to_end_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let state = StateDir::open(home.path()).unwrap();
        let first = Tenure::take(&state, "first", Duration::ZERO).unwrap();
        let ending = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(first);
        });
        Tenure::take(&state, "second", Duration::from_secs(30)).unwrap();
        ending.join().unwrap();
    }
}
