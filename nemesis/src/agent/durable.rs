//! Small files that are either there in full, and stay so after a power cut, or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::AgentError;

/// Writes `value` as JSON to `path`, replacing what was there; on disk when this returns.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), AgentError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|source| AgentError::Corrupt {
        path: path.to_owned(),
        source,
    })?;
    let unfinished = unfinished(path);
    let mut file = File::create(&unfinished).map_err(AgentError::file("create", &unfinished))?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(AgentError::file("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(AgentError::file("rename to", path))?;
    sync_parent(path)
}

/// Writes `value` as JSON to `path`, so that a reader sees all of it or what was there before. Not synced: for what a power
/// cut may take.
pub(crate) fn show<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let unfinished = unfinished(path);
    fs::write(&unfinished, serde_json::to_vec(value)?)?;
    fs::rename(&unfinished, path)
}

/// Where a file is until it is whole: another place for each, also for two whose names differ in the extension only.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Reads what [`write`] wrote; `None` if there is no such file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, AgentError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(AgentError::file("read", path)(error)),
    };
    let value = serde_json::from_slice(&bytes).map_err(|source| AgentError::Corrupt {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(value))
}

/// Removes a file if it is there; gone from disk when this returns.
pub(crate) fn remove(path: &Path) -> Result<(), AgentError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(AgentError::file("remove", path)(error)),
    }
}

/// Removes a directory with all that is in it if it is there; gone from disk when this returns, so that a power loss
/// doesn't bring it back.
pub(crate) fn remove_all(directory: &Path) -> Result<(), AgentError> {
    match fs::remove_dir_all(directory) {
        Ok(()) => sync_parent(directory),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(AgentError::file("remove", directory)(error)),
    }
}

fn sync_parent(path: &Path) -> Result<(), AgentError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(AgentError::file("sync", parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_that_differ_in_extension_only_are_written_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let write_often = |name: &str| {
            let path = dir.path().join(name);
            (0..100).for_each(|number| write(&path, &number).unwrap());
            assert_eq!(read(&path).unwrap(), Some(99));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write_often("web.json"));
            write_often("web.ended");
        });
    }
}
