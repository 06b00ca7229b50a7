//! Faults by control group: frozen, or short of processors, memory or tasks.

use std::time::Instant;

use super::nothing;
use crate::agent::cgroup::{Control, Group};
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::inflict::{Order, rewrite, running, time_to_effect};
use crate::agent::ledger::{Entry, UndoStep};
use crate::agent::process::ProcessId;
use crate::agent::state_dir::StateLock;
use crate::fault::local::LocalFault;
use crate::outcome::{NodeOutcome, Outcome};

/// How often new processes are looked for before they are said to come without end.
const ROUNDS: u32 = 100;

fn control(act: &LocalFault) -> Control {
    match act {
        LocalFault::CpuQuota { .. } => Control::Cpu,
        LocalFault::MemoryLimit { .. } => Control::Memory,
        LocalFault::TaskLimit { .. } => Control::Pids,
        _ => Control::Freezer,
    }
}

/// Makes the group, empty.
pub(super) fn prepare(
    lock: &StateLock<'_>,
    order: Order<'_>,
    act: &LocalFault,
) -> Result<Vec<UndoStep>, AgentError> {
    if order.noop {
        return Ok(Vec::new());
    }
    let name = format!("{}_{}", order.run, order.fault);
    let group = Group::plan(lock, control(act), &name)?;
    if let Err(error) = group.make() {
        group.remove()?;
        return Err(error);
    }
    Ok(vec![UndoStep::RemoveGroup { group }])
}

/// Puts the service into the group, and the group to work.
pub(super) fn strike(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    act: &LocalFault,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let service = act.service().unwrap_or_default();
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
    let Some(UndoStep::RemoveGroup { group }) = entry.undo.first().filter(|_| !noop) else {
        return Ok(nothing("control group"));
    };
    let group = group.clone().with_home_of(&leader);
    let step = UndoStep::RemoveGroup {
        group: group.clone(),
    };
    rewrite(lock, entry, vec![step])?;
    take_all(&group, &leader)?;
    let mut frozen = true;
    match act {
        LocalFault::CpuQuota { percent, .. } => group.limit((*percent).into())?,
        LocalFault::MemoryLimit { more_mib, .. } => group.limit(u64::from(*more_mib) << 20)?,
        LocalFault::TaskLimit { more, .. } => group.limit(group.tasks() + u64::from(*more))?,
        _ => frozen = group.freeze()?,
    }
    let took = time_to_effect(ordered);
    let tree = leader.tree();
    let inside = tree.iter().filter(|process| group.holds(process)).count();
    // One that ended meanwhile needs not be held.
    let outside = |process: &&ProcessId| !group.holds(process) && process.is_alive();
    let outside = tree.iter().filter(outside).count();
    let mut seen = vec![evidence(
        "control group",
        format!("holds {inside} processes, {outside} are outside"),
    )];
    let outcome = match inside {
        0 => Outcome::Skipped,
        _ if outside == 0 && frozen => Outcome::Installed,
        _ => Outcome::Indeterminate,
    };
    if control(act) == Control::Freezer {
        let state = if frozen { "frozen" } else { "not all frozen" };
        seen.push(evidence("processes", state));
    }
    if outcome == Outcome::Installed {
        seen.push(took);
    }
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

/// Puts every process of a service into a group.
pub(super) fn take_all(group: &Group, leader: &ProcessId) -> Result<(), AgentError> {
    for _ in 0..ROUNDS {
        let mut outside = leader.tree();
        outside.retain(|process| !group.holds(process));
        if outside.is_empty() {
            return Ok(());
        }
        for process in &outside {
            group.take(process)?;
        }
    }
    Err(AgentError::StillThere(
        "control group: new processes keep coming".to_owned(),
    ))
}

/// Whether it is still frozen, or how often the limit was felt.
pub(super) fn last_look(
    entry: &Entry,
    act: &LocalFault,
    mut installed: NodeOutcome,
) -> NodeOutcome {
    let Some(UndoStep::RemoveGroup { group }) = entry.undo.first() else {
        return installed;
    };
    if control(act) == Control::Freezer {
        let frozen = group.is_frozen();
        let seen = if frozen { "frozen" } else { "not frozen" };
        installed
            .evidence
            .push(evidence("processes before undo", seen));
        if installed.outcome == Outcome::Installed && !frozen {
            installed.outcome = Outcome::Indeterminate;
        }
        return installed;
    }
    let felt = group.felt();
    let what = match act {
        LocalFault::CpuQuota { .. } => "periods of 100 ms in which it had to wait for a processor",
        LocalFault::MemoryLimit { .. } => "times it asked for more memory than it gets",
        _ => "times it could not start a thread or process",
    };
    installed.evidence.push(evidence(what, felt.to_string()));
    if felt == 0 {
        installed.outcome = Outcome::Skipped;
    }
    installed
}
