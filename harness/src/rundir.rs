//! The directory of a run: `runs/<suite>/<time>-<seed>/`, one folder per scenario in it.

use std::path::{Path, PathBuf};

/// Why a run directory could not be made or written.
#[derive(Debug, thiserror::Error)]
#[error("run directory: cannot write {path}: {source}")]
pub struct RunDirError {
    path: PathBuf,
    source: std::io::Error,
}

/// A run's directory.
#[derive(Debug, Clone)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Makes the directory; the name is unique even for two runs of one seed in one second.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(out: &Path, suite: &str, seed: u64) -> Result<Self, RunDirError> {
        let stamp = jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let parent = out.join(suite);
        make(&parent)?;
        for attempt in 1.. {
            let name = if attempt == 1 {
                format!("{stamp}-{seed}")
            } else {
                format!("{stamp}-{seed}-{attempt}")
            };
            let root = parent.join(name);
            match std::fs::create_dir(&root) {
                Ok(()) => return Ok(RunDir { root }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(RunDirError { path: root, source }),
            }
        }
        unreachable!("the loop ends by returning")
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes and returns a scenario's directory.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scenario(&self, name: &str) -> Result<PathBuf, RunDirError> {
        let path = self.root.join(name);
        make(&path)?;
        Ok(path)
    }

    /// Writes a small file of the run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, relative: &str, content: &str) -> Result<(), RunDirError> {
        let path = self.root.join(relative);
        std::fs::write(&path, content).map_err(|source| RunDirError { path, source })
    }
}

fn make(path: &Path) -> Result<(), RunDirError> {
    std::fs::create_dir_all(path).map_err(|source| RunDirError {
        path: path.to_owned(),
        source,
    })
}
