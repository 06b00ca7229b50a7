//! Power loss: a disk forgets what was not synced, and answers no more until it is mounted anew.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Disk, find, ioctl, list, mount_disk, mounts};
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::state_dir::StateLock;
use crate::outcome::Evidence;

/// Written just before the power goes and never synced: it must be gone afterwards.
const MARKER: &str = ".shakedown-not-synced";

/// Tried while the power is off: it must fail.
const PROBE: &str = ".shakedown-probe";

const MARKER_BYTES: usize = 64 << 10;

/// Takes a disk down, unless `noop`, and looks whether it answers; true if it is down.
pub(crate) fn cut_power(disk: &Disk, noop: bool) -> Result<(bool, Vec<Evidence>), AgentError> {
    if !noop {
        let marker = marker(disk);
        File::create(&marker)
            .and_then(|mut file| file.write_all(&[b'u'; MARKER_BYTES]))
            .map_err(AgentError::file("write", &marker))?;
        let root = File::open(&disk.path).map_err(AgentError::file("open", &disk.path))?;
        ioctl::shut_down(&root)
            .map_err(|error| AgentError::file("shut down", &disk.path)(error.into()))?;
    }
    let (down, seen) = match probe(disk) {
        Ok(()) => (false, "written".to_owned()),
        Err(error) => (is_eio(&error), error.to_string()),
    };
    let what = format!("a new file on {}", disk.path.display());
    Ok((down, vec![evidence(what, seen)]))
}

/// Mounts a disk anew if its power is off; what was seen, and whether that casts doubt on the power loss.
pub(crate) fn restore(lock: &StateLock<'_>, path: &Path) -> Result<(Evidence, bool), AgentError> {
    let what = format!("disk {} after undo", path.display());
    let Some(disk) = list(lock)?.into_iter().find(|disk| disk.path == path) else {
        return Ok((evidence(what, "removed on request since"), false));
    };
    if mounts::is_mounted(path)? {
        match probe(&disk) {
            Err(error) if is_eio(&error) => mounts::unmount(path)?,
            _ => return Ok((evidence(what, "was never down"), false)),
        }
    }
    mount_disk(lock, &disk)?;
    let marker = marker(&disk);
    let kept = fs::read(&marker).map_or(0, |bytes| bytes.len());
    match fs::remove_file(&marker) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(AgentError::file("remove", &marker)(error));
        }
        _ => {}
    }
    let seen = format!(
        "mounted anew; of {MARKER_BYTES} bytes written just before and not synced, {kept} are left"
    );
    Ok((evidence(what, seen), kept == MARKER_BYTES))
}

/// Whether a disk is mounted and answers nothing.
pub(crate) fn is_down(lock: &StateLock<'_>, path: &Path) -> Result<bool, AgentError> {
    let Ok(disk) = find(lock, &path.to_string_lossy()) else {
        return Ok(list(lock)?.iter().any(|disk| disk.path == path));
    };
    Ok(probe(&disk).is_err_and(|error| is_eio(&error)))
}

fn probe(disk: &Disk) -> io::Result<()> {
    let path = disk.path.join(PROBE);
    File::create(&path)?;
    fs::remove_file(&path)
}

fn is_eio(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::Error::EIO as i32)
}

fn marker(disk: &Disk) -> PathBuf {
    disk.path.join(MARKER)
}
