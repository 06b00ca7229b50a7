//! A disk without a free inode: empty files take them all.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::sys::statvfs::statvfs;

use super::nothing;
use crate::agent::disk;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::time_to_effect;
use crate::agent::layer;
use crate::agent::ledger::UndoStep;
use crate::agent::state_dir::StateLock;
use crate::outcome::{NodeOutcome, Outcome};

const FILLERS: &str = ".shakedown-inodes";

/// Tried while there is none left: it must fail.
const PROBE: &str = ".shakedown-probe";

/// Files in one directory.
const IN_ONE: u64 = 10_000;

/// More would take longer to make than the harness waits for an answer.
const MOST: u64 = 100_000;

/// What will undo it; an error if there is no such disk, or it is none to fill.
pub(super) fn prepare(lock: &StateLock<'_>, dir: &str) -> Result<Vec<UndoStep>, AgentError> {
    let path = disk::own(lock, dir)?;
    if layer::process(lock, &path)?.is_some() {
        return Err(AgentError::Refused(format!(
            "inodes_full: {} has a layer, through which files are made too slowly; name nodes of a role without `disk_layer`",
            path.display()
        )));
    }
    let free = free_inodes(&path)?;
    if free > MOST {
        return Err(AgentError::Refused(format!(
            "inodes_full: {} has {free} inodes, more than {MOST}; give the role a smaller disk",
            path.display()
        )));
    }
    Ok(vec![UndoStep::RemoveFiles {
        directory: path.join(FILLERS),
    }])
}

/// Makes files until none can be made.
pub(super) fn strike(
    lock: &StateLock<'_>,
    dir: &str,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    if noop {
        return Ok(nothing("inodes"));
    }
    let path = disk::own(lock, dir)?;
    let before = free_inodes(&path)?;
    fill(&path.join(FILLERS))?;
    let took = time_to_effect(ordered);
    let after = free_inodes(&path)?;
    let probe = path.join(PROBE);
    let (full, answer) = match File::create(&probe) {
        Ok(_) => {
            fs::remove_file(&probe).map_err(AgentError::file("remove", &probe))?;
            (false, "made".to_owned())
        }
        Err(error) => (is_full(&error), error.to_string()),
    };
    let mut seen = vec![
        evidence("inodes free before", before.to_string()),
        evidence("inodes free after", after.to_string()),
        evidence("one more file", answer),
    ];
    if full {
        seen.push(took);
    }
    Ok(NodeOutcome {
        outcome: match full {
            true => Outcome::Installed,
            false => Outcome::Indeterminate,
        },
        evidence: seen,
    })
}

/// What is free just before the end.
pub(super) fn last_look(dir: &str, mut installed: NodeOutcome) -> NodeOutcome {
    // A disk that was removed, or is down, has nothing to tell.
    if let Ok(free) = free_inodes(Path::new(dir)) {
        let seen = evidence("inodes free before undo", free.to_string());
        installed.evidence.push(seen);
    }
    installed
}

fn fill(directory: &Path) -> Result<(), AgentError> {
    let made = |outcome: io::Result<()>, path: &Path| match outcome {
        Ok(()) => Ok(true),
        Err(error) if is_full(&error) => Ok(false),
        Err(error) => Err(AgentError::file("make", path)(error)),
    };
    if !made(fs::create_dir_all(directory), directory)? {
        return Ok(());
    }
    let mut inside = PathBuf::new();
    for number in 0..=MOST {
        if number.is_multiple_of(IN_ONE) {
            inside = directory.join((number / IN_ONE).to_string());
            if !made(fs::create_dir(&inside), &inside)? {
                return Ok(());
            }
        }
        let path = inside.join(number.to_string());
        if !made(File::create(&path).map(|_| ()), &path)? {
            return Ok(());
        }
    }
    Ok(())
}

fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::Error::ENOSPC as i32)
}

fn free_inodes(path: &Path) -> Result<u64, AgentError> {
    let state = statvfs(path).map_err(|error| AgentError::file("look at", path)(error.into()))?;
    Ok(state.files_available())
}
