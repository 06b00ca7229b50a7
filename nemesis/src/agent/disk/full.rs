//! A full disk: one large file takes what is free.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::statvfs::statvfs;

use super::Disk;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::outcome::Evidence;

/// What takes the space.
const FILLER: &str = ".shakedown-filler";

/// Asked for while the disk is full: there must be no space for it.
const PROBE: &str = ".shakedown-probe";

/// How much more than what was left the probe asks for, bytes.
const PROBE_EXCESS: u64 = 256 << 10;

/// The file that fills a disk.
pub(crate) fn filler(disk: &Disk) -> PathBuf {
    disk.path.join(FILLER)
}

/// Refuses a disk that isn't one of its own.
pub(crate) fn check(disk: &Disk) -> Result<(), AgentError> {
    let device = |path: &Path| {
        let metadata = fs::metadata(path).map_err(AgentError::file("look at", path))?;
        Ok(metadata.dev())
    };
    if device(&disk.path)? == device(Path::new("/"))? {
        return Err(AgentError::Refused(format!(
            "{} is on the root file system, which is never filled",
            disk.path.display()
        )));
    }
    Ok(())
}

/// Fills a disk to all but `leave_bytes`, unless `noop`; true if there is no space for more than that.
pub(crate) fn fill(
    disk: &Disk,
    leave_bytes: u64,
    noop: bool,
) -> Result<(bool, Vec<Evidence>), AgentError> {
    check(disk)?;
    let mut seen = vec![free_evidence(&disk.path, "before")?];
    if !noop {
        take(disk, leave_bytes)?;
    }
    seen.push(free_evidence(&disk.path, "after")?);
    let wanted = leave_bytes.saturating_add(PROBE_EXCESS);
    let (full, answer) = match probe(disk, wanted) {
        Ok(()) => (false, "there is space".to_owned()),
        Err(error) => (error == nix::Error::ENOSPC, error.desc().to_owned()),
    };
    let what = format!("{wanted} bytes asked for on {}", disk.path.display());
    seen.push(evidence(what, answer));
    Ok((full, seen))
}

/// Allocates what is free less what is to be left, in whole blocks. The file system needs blocks to keep
/// account of the allocated ones, so the last steps get smaller until not one more block fits.
fn take(disk: &Disk, leave_bytes: u64) -> Result<(), AgentError> {
    let path = filler(disk);
    let file = File::create(&path).map_err(AgentError::file("create", &path))?;
    let mut taken = 0;
    loop {
        let (free, block) = free_and_block(&disk.path)?;
        let mut blocks = free.saturating_sub(leave_bytes) / block;
        loop {
            if blocks == 0 {
                return Ok(());
            }
            match allocate(&file, taken, blocks * block) {
                Ok(()) => break,
                Err(nix::Error::ENOSPC) => blocks /= 2,
                Err(error) => return Err(AgentError::file("allocate", &path)(error.into())),
            }
        }
        taken += blocks * block;
    }
}

fn probe(disk: &Disk, bytes: u64) -> nix::Result<()> {
    let path = disk.path.join(PROBE);
    let created = File::create(&path).map_err(io_errno)?;
    let outcome = allocate(&created, 0, bytes);
    fs::remove_file(&path).map_err(io_errno)?;
    outcome
}

fn io_errno(error: io::Error) -> nix::Error {
    error
        .raw_os_error()
        .map_or(nix::Error::EIO, nix::Error::from_raw)
}

fn allocate(file: &File, offset: u64, bytes: u64) -> nix::Result<()> {
    let signed = |value: u64| i64::try_from(value).map_err(|_| nix::Error::ENOSPC);
    fallocate(
        file,
        FallocateFlags::empty(),
        signed(offset)?,
        signed(bytes)?,
    )
}

/// Bytes free, and the size of a block.
fn free_and_block(disk: &Path) -> Result<(u64, u64), AgentError> {
    let state = statvfs(disk).map_err(|error| AgentError::file("look at", disk)(error.into()))?;
    let block = state.fragment_size();
    Ok((state.blocks_available() * block, block))
}

/// What is free, in words.
pub(crate) fn free_evidence(disk: &Path, when: &str) -> Result<Evidence, AgentError> {
    let what = format!("bytes free on {} {when}", disk.display());
    Ok(evidence(what, free_and_block(disk)?.0.to_string()))
}
