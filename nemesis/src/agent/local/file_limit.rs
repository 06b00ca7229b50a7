//! A limit on open files, set on running processes and taken back.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::nothing;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::{rewrite, running, time_to_effect};
use crate::agent::ledger::{Entry, UndoStep};
use crate::agent::process::ProcessId;
use crate::agent::service::Record;
use crate::agent::state_dir::StateLock;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// Limits each process of a service to as many files as its first one has open, and some more.
pub(super) fn strike(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    (service, more): (&str, u32),
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
    if noop {
        return Ok(nothing("limit of open files"));
    }
    let Some(before) = soft_limit(&leader) else {
        return Ok(nothing("limit of open files"));
    };
    let mut ours = limit_for(&numbers(&leader), more.into());
    let mut seen = vec![left(&leader, ours, "when it struck")];
    // Another limit than that from before, so that it is known again.
    ours += u64::from(Some(ours) == before);
    let step = UndoStep::RestoreFileLimit {
        service: service.to_owned(),
        leader: leader.clone(),
        ours,
        before,
    };
    rewrite(lock, entry, vec![step])?;
    extend(&leader, ours)?;
    let took = time_to_effect(ordered);
    let tree = leader.tree();
    let limited = |process: &&ProcessId| soft_limit(process) == Some(Some(ours));
    let count = tree.iter().filter(limited).count();
    // One that ended meanwhile needs no limit.
    let other = |process: &&ProcessId| !limited(process) && process.is_alive();
    let others = tree.iter().filter(other).count();
    seen.push(evidence(
        "limit of open files",
        format!("{ours} in {count} processes, {others} have another"),
    ));
    let outcome = match (count, others) {
        (0, _) => Outcome::Skipped,
        (_, 0) => Outcome::Installed,
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

/// Limits those processes of a service that aren't.
pub(super) fn extend(leader: &ProcessId, ours: u64) -> Result<(), AgentError> {
    for process in leader.tree() {
        if soft_limit(&process).is_some_and(|limit| limit != Some(ours)) {
            set(&process, Some(ours))?;
        }
    }
    Ok(())
}

/// A limit that no process came to was none.
pub(super) fn last_look(entry: &Entry, mut installed: NodeOutcome) -> NodeOutcome {
    let Some(UndoStep::RestoreFileLimit { leader, ours, .. }) = entry.undo.first() else {
        return installed;
    };
    let tree = leader.tree();
    let before_undo = tree
        .iter()
        .map(|process| left(process, *ours, "before undo"));
    installed.evidence.extend(before_undo);
    let reached = |seen: &Evidence| seen.what.starts_with(LEFT) && seen.seen == "0";
    if installed.outcome == Outcome::Installed && !installed.evidence.iter().any(reached) {
        installed.outcome = Outcome::Skipped;
    }
    installed
}

/// Gives the processes that have our limit the one from before.
pub(crate) fn restore(
    lock: &StateLock<'_>,
    (service, leader): (&str, &ProcessId),
    ours: u64,
    before: Option<u64>,
) -> Result<Evidence, AgentError> {
    let mut processes = leader.tree();
    if let Some(record) = Record::load(lock, service)? {
        processes.extend(record.process.tree());
    }
    let mut restored = 0;
    for process in &processes {
        if soft_limit(process) == Some(Some(ours)) {
            set(process, before)?;
            restored += 1;
        }
    }
    let seen = format!("as before in {restored} processes");
    Ok(evidence("limit of open files after undo", seen))
}

const LEFT: &str = "files that may still be opened by pid";

/// How many numbers below a limit are free.
fn left(process: &ProcessId, limit: u64, when: &str) -> Evidence {
    let used = numbers(process).into_iter().filter(|used| *used < limit);
    let free = limit - used.count() as u64;
    evidence(format!("{LEFT} {} {when}", process.pid), free.to_string())
}

/// The limit with which so many more files can be opened: a new file gets the lowest number that is free.
fn limit_for(used: &BTreeSet<u64>, more: u64) -> u64 {
    let mut free = 0;
    let mut limit = 0;
    // Used numbers above the limit stay open.
    while free < more || used.contains(&limit) {
        free += u64::from(!used.contains(&limit));
        limit += 1;
    }
    limit
}

/// The numbers of a process's open files.
fn numbers(process: &ProcessId) -> BTreeSet<u64> {
    fs::read_dir(format!("/proc/{}/fd", process.pid))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The soft limit, `Some(None)` if there is none; `None` for a process that is gone.
fn soft_limit(process: &ProcessId) -> Option<Option<u64>> {
    let text = fs::read_to_string(format!("/proc/{}/limits", process.pid)).ok()?;
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    let word = line.split_whitespace().next()?;
    Some(word.parse().ok())
}

fn hard_limit(process: &ProcessId) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/limits", process.pid)).ok()?;
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Sets the soft limit; nothing is done for a process that is gone.
fn set(process: &ProcessId, soft: Option<u64>) -> Result<(), AgentError> {
    if !process.is_alive() {
        return Ok(());
    }
    let limit = Rlimit {
        current: soft,
        maximum: hard_limit(process),
    };
    match prlimit(Pid::from_raw(process.pid), Resource::Nofile, limit) {
        Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(AgentError::Refused(format!(
            "limit of open files of pid {}: {error}",
            process.pid
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_between_open_files_count_as_what_may_still_be_opened() {
        let used = BTreeSet::from([0, 1, 2, 5, 200]);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|more| limit_for(&used, more)),
            [3, 4, 6, 7, 8]
        );
        assert_eq!(limit_for(&BTreeSet::new(), 0), 0);
    }
}
