//! Shifted clocks, from the order to its end.

use std::time::Instant;

use super::processes::{change, check, reads_back, shifted};
use super::skewed::{Moment, Skewed};
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::{rewrite, running, time_to_effect};
use crate::agent::ledger::{self, Entry, UndoStep};
use crate::agent::process::ProcessId;
use crate::agent::service::Record;
use crate::agent::state_dir::StateLock;
use crate::fault::{NodeFault, Skew};
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// How often new processes are looked for before they are said to come without end.
const ROUNDS: u32 = 100;

/// What undoes a shift, and since when it is to hold; an error if clocks can't be shifted on this node.
pub(crate) fn clock_steps(
    lock: &StateLock<'_>,
    run: &str,
    fault: &str,
    service: &str,
    since: Moment,
) -> Result<Vec<UndoStep>, AgentError> {
    check()?;
    Ok(match running(lock, service)? {
        Ok(leader) => vec![UndoStep::RestoreClocks {
            tag: tag(run, fault),
            leader,
            since,
        }],
        Err(_) => Vec::new(),
    })
}

/// Shifts the clock of every process of the service.
pub(crate) fn clock(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    (service, skew): (&str, Skew),
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
    let skewed = Skewed::now(skew)
        .map_err(|error| AgentError::Refused(format!("clock: this node's own: {error}")))?;
    let steps = clock_steps(lock, &entry.run, &entry.fault, service, skewed.since)?;
    rewrite(lock, entry, steps)?;
    let tag = tag(&entry.run, &entry.fault);
    if !noop {
        shift(lock, &leader, tag, skewed)?;
    }
    let took = time_to_effect(ordered);
    let tree = leader.tree();
    let changed = |process: &ProcessId| reads_back(process, tag, skewed);
    let mut seen: Vec<Evidence> = tree
        .iter()
        .map(|process| {
            let what = format!("vDSO of pid {}", process.pid);
            let seen = if changed(process) {
                format!("wall clock {}", skewed.text())
            } else {
                "not changed".to_owned()
            };
            evidence(what, seen)
        })
        .collect();
    let count = tree.iter().filter(|process| changed(process)).count();
    let outcome = match count {
        0 => Outcome::Skipped,
        count if count == tree.len() => Outcome::Installed,
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

/// Shifts the clocks of processes that came since, for every such fault in place.
pub(crate) fn extend(lock: &StateLock<'_>) -> Result<(), AgentError> {
    for (_, entry) in ledger::list(lock)? {
        // One that can't be read is reported by whoever heals.
        let Ok(entry) = entry else { continue };
        let NodeFault::Clock { service, skew } = &entry.order else {
            continue;
        };
        let Some(UndoStep::RestoreClocks { tag, since, .. }) = entry.undo.first() else {
            continue;
        };
        let skewed = Skewed {
            skew: *skew,
            since: *since,
        };
        let holds = entry
            .installed
            .as_ref()
            .is_some_and(|installed| installed.outcome != Outcome::Skipped);
        if let (true, Some(record)) = (holds, Record::load(lock, service)?) {
            shift(lock, &record.process, *tag, skewed)?;
        }
    }
    Ok(())
}

/// Who is shifted just before the end, and how often each has read its clock.
pub(crate) fn last_look(
    entry: &Entry,
    mut installed: NodeOutcome,
) -> Result<NodeOutcome, AgentError> {
    let Some(UndoStep::RestoreClocks { tag, leader, .. }) = entry.undo.first() else {
        return Ok(installed);
    };
    let shifted = shifted(*tag)?;
    let mut reads = 0;
    for (process, count) in &shifted {
        reads += count;
        let what = format!("shifted wall clock read by pid {}", process.pid);
        installed
            .evidence
            .push(evidence(what, format!("{count} times")));
    }
    if installed.outcome == Outcome::Skipped {
        return Ok(installed);
    }
    let all = leader
        .tree()
        .iter()
        .all(|process| shifted.iter().any(|(other, _)| other == process));
    installed.outcome = match (reads, all) {
        (1.., true) => Outcome::Installed,
        // It runs, and never asked for the time, or not in this way.
        (0, _) if leader.is_alive() => Outcome::Skipped,
        _ => Outcome::Indeterminate,
    };
    Ok(installed)
}

/// Makes the clocks of all processes right again that a fault shifted.
pub(crate) fn restore(lock: &StateLock<'_>, tag: u64) -> Result<Evidence, AgentError> {
    let mut restored = 0;
    for _ in 0..ROUNDS {
        let processes = shifted(tag)?;
        if processes.is_empty() {
            let seen = format!("right again in {restored} processes");
            return Ok(evidence("wall clocks after undo", seen));
        }
        for (process, _) in &processes {
            change(lock, process, tag, None)?;
            restored += 1;
        }
    }
    Err(AgentError::StillThere(
        "wall clocks stay shifted: new processes keep coming".to_owned(),
    ))
}

fn shift(
    lock: &StateLock<'_>,
    leader: &ProcessId,
    tag: u64,
    skewed: Skewed,
) -> Result<(), AgentError> {
    for _ in 0..ROUNDS {
        let mut new = leader.tree();
        if !new.is_empty() {
            let done = shifted(tag)?;
            new.retain(|process| done.iter().all(|(other, _)| other != process));
        }
        if new.is_empty() {
            return Ok(());
        }
        for process in &new {
            change(lock, process, tag, Some(skewed))?;
        }
    }
    Err(AgentError::StillThere(
        "wall clocks: new processes keep coming".to_owned(),
    ))
}

/// Names a fault by eight bytes.
fn tag(run: &str, fault: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{run}.{fault}").as_bytes())
}
