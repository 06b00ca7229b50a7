//! Faults on disks, from the order to its outcome.

use std::path::Path;
use std::time::Instant;

use super::power_loss::cut_power;
use super::{Disk, find, full, mounts};
use crate::agent::error::AgentError;
use crate::agent::evidence::states;
use crate::agent::inflict::{rewrite, running, time_to_effect};
use crate::agent::layer;
use crate::agent::ledger::{Entry, UndoStep};
use crate::agent::process::ProcessId;
use crate::agent::service::{self, Record};
use crate::agent::state_dir::StateLock;
use crate::outcome::{NodeOutcome, Outcome};

/// What undoes a power loss; an error if there is no such disk.
pub(crate) fn power_loss_steps(
    lock: &StateLock<'_>,
    service: &str,
    dir: &str,
) -> Result<Vec<UndoStep>, AgentError> {
    let disk = find_bare(lock, dir)?;
    let Ok(leader) = running(lock, service)? else {
        return Ok(Vec::new());
    };
    let others = others_on(lock, &disk, &leader)?;
    Ok(back_again(service, &others, &disk))
}

/// The disk mounted at a path; an error if it has a layer.
fn find_bare(lock: &StateLock<'_>, dir: &str) -> Result<Disk, AgentError> {
    let disk = find(lock, dir)?;
    if layer::process(lock, &disk.path)?.is_some() {
        return Err(AgentError::Refused(format!(
            "power_loss: the disk at {dir} has a layer, which would keep it from being mounted anew"
        )));
    }
    Ok(disk)
}

/// The disk is mounted anew, and then all that used it is started: undo goes from the last step to the first.
fn back_again(service: &str, others: &[Record], disk: &Disk) -> Vec<UndoStep> {
    let others = others.iter().map(|record| record.service.name.clone());
    let start = |service| UndoStep::StartService { service };
    let starts = [service.to_owned()].into_iter().chain(others).map(start);
    let disk = disk.path.clone();
    starts.chain([UndoStep::Remount { disk }]).collect()
}

/// The services that have files on a disk, but for the one of this process: the power goes for them, too, and
/// the disk cannot be mounted anew as long as they hold it.
fn others_on(
    lock: &StateLock<'_>,
    disk: &Disk,
    leader: &ProcessId,
) -> Result<Vec<Record>, AgentError> {
    let users = mounts::users(&disk.path);
    let mut others = service::alive(lock)?;
    others.retain(|record| {
        let tree = record.process.tree();
        record.process != *leader && tree.iter().any(|process| users.contains(&process.pid))
    });
    Ok(others)
}

/// Kills the service and whatever else of the system uses the disk, then makes the disk forget: what was written
/// and not synced is still in memory in between, and nobody is left who could sync it.
pub(crate) fn power_loss(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    (service, dir): (&str, &str),
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => {
            // It is not for us to start what we did not kill.
            rewrite(lock, entry, Vec::new())?;
            return Ok(outcome);
        }
    };
    let disk = find_bare(lock, dir)?;
    let others = others_on(lock, &disk, &leader)?;
    rewrite(lock, entry, back_again(service, &others, &disk))?;
    let leaders = [leader]
        .into_iter()
        .chain(others.into_iter().map(|record| record.process));
    let leaders: Vec<ProcessId> = leaders.collect();
    let tree: Vec<ProcessId> = leaders.iter().flat_map(ProcessId::tree).collect();
    let mut seen = states(&tree, "before");
    let mut gone = !noop;
    for leader in leaders.iter().filter(|_| !noop) {
        gone &= service::kill_tree(leader)?;
    }
    let (down, probed) = cut_power(&disk, noop)?;
    let took = time_to_effect(ordered);
    seen.extend(states(&tree, "after"));
    seen.extend(probed);
    let outcome = match (noop, gone, down) {
        (false, true, true) => Outcome::Installed,
        (true, false, false) => Outcome::Skipped,
        _ => Outcome::Indeterminate,
    };
    if outcome == Outcome::Installed {
        seen.push(took);
    }
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

/// What undoes a full disk; an error if there is no such disk, or it is no disk to fill.
pub(crate) fn full_steps(lock: &StateLock<'_>, dir: &str) -> Result<Vec<UndoStep>, AgentError> {
    let disk = find(lock, dir)?;
    full::check(&disk)?;
    Ok(vec![UndoStep::RemoveFiller {
        file: full::filler(&disk),
    }])
}

/// Fills the disk.
pub(crate) fn disk_full(
    lock: &StateLock<'_>,
    dir: &str,
    leave_bytes: u64,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let (is_full, mut seen) = full::fill(&find(lock, dir)?, leave_bytes, noop)?;
    let outcome = match (noop, is_full) {
        (false, true) => Outcome::Installed,
        (true, false) => Outcome::Skipped,
        _ => Outcome::Indeterminate,
    };
    if outcome == Outcome::Installed {
        seen.push(time_to_effect(ordered));
    }
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

/// What is free just before the end.
pub(crate) fn still_full(dir: &str, mut installed: NodeOutcome) -> Result<NodeOutcome, AgentError> {
    // A disk that was removed, or is down, has nothing to tell.
    if let Ok(seen) = full::free_evidence(Path::new(dir), "before undo") {
        installed.evidence.push(seen);
    }
    Ok(installed)
}
