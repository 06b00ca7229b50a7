//! Where an agent keeps what must outlive it, and the lock that lets only one process change it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::error::AgentError;

/// The state directory on a node, unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/shakedown";

/// The state directory: `ledger/` (faults in place), `services/` (services started), `lock`.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Opens a state directory; makes it, readable by its owner only, if it isn't there.
    ///
    /// # Errors
    /// When a directory can't be made.
    pub fn open(root: &Path) -> Result<Self, AgentError> {
        let state = Self {
            root: root.to_owned(),
        };
        for directory in [state.ledger(), state.services()] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(AgentError::file("make", &directory))?;
        }
        // Processes with another working directory (the watchdog) are given this path.
        let root = fs::canonicalize(root).map_err(AgentError::file("resolve", root))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(crate) fn services(&self) -> PathBuf {
        self.root.join("services")
    }

    /// Waits for the lock. It excludes other processes and other threads of this one alike.
    pub(crate) fn lock(&self) -> Result<StateLock<'_>, AgentError> {
        let file = self.lock_file()?;
        file.lock()
            .map_err(AgentError::file("lock", &self.root.join("lock")))?;
        Ok(StateLock { state: self, file })
    }

    /// Waits for the lock for at most `patience`; `None` if someone else kept it.
    pub(crate) fn lock_within(
        &self,
        patience: Duration,
    ) -> Result<Option<StateLock<'_>>, AgentError> {
        let file = self.lock_file()?;
        let give_up = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(StateLock { state: self, file })),
                Err(fs::TryLockError::WouldBlock) if Instant::now() >= give_up => return Ok(None),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(AgentError::file("lock", &self.root.join("lock"))(error));
                }
            }
        }
    }

    fn lock_file(&self) -> Result<File, AgentError> {
        let path = self.root.join("lock");
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(AgentError::file("open", &path))
    }
}

/// The state directory, held exclusively. Who has this may read and change ledger and services.
#[derive(Debug)]
pub(crate) struct StateLock<'a> {
    pub(crate) state: &'a StateDir,
    file: File,
}

impl StateLock<'_> {
    /// The lock as a child's standard input.
    ///
    /// A child that changes the node (nft, a service about to start) must hold the lock as long as it
    /// lives: were its parent killed, whoever heals next would otherwise look too early, find nothing,
    /// and the child's change would stay for ever.
    pub(crate) fn for_child(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.file.try_clone()?))
    }
}
