//! Faults that a node suffers by itself, from the order to its end.

mod corrupt;
mod file_limit;
mod grouped;
mod helped;
mod host_clock;
mod inodes;
mod io;

use std::time::Instant;

use host_clock::Wrong;

pub(crate) use file_limit::restore as restore_file_limit;
pub(crate) use host_clock::{
    Frequency, Reading, check as check_host_clock, set_rate_right as set_host_clock_rate_right,
    set_right as set_host_clock_right,
};

use super::error::AgentError;
use super::evidence::evidence;
use super::inflict::Order;
use super::ledger::{self, Entry, UndoStep};
use super::service::Record;
use super::state_dir::StateLock;
use crate::fault::NodeFault;
use crate::fault::local::LocalFault;
use crate::outcome::{NodeOutcome, Outcome};

/// Does what takes time; what will undo the fault.
pub(crate) fn prepare(
    lock: &StateLock<'_>,
    order: Order<'_>,
    act: &LocalFault,
) -> Result<Vec<UndoStep>, AgentError> {
    act.check().map_err(AgentError::Refused)?;
    match act {
        LocalFault::Freeze { .. }
        | LocalFault::CpuQuota { .. }
        | LocalFault::MemoryLimit { .. }
        | LocalFault::TaskLimit { .. } => grouped::prepare(lock, order, act),
        LocalFault::HoldThreads { .. }
        | LocalFault::CrashLoop { .. }
        | LocalFault::CpuBurn { .. }
        | LocalFault::MemoryHold { .. } => helped::prepare(act),
        LocalFault::FileLimit { .. } => Ok(Vec::new()),
        LocalFault::InodesFull { dir } => inodes::prepare(lock, dir),
        LocalFault::HostClock { offset_ms } => {
            host_clock::prepare(order.allow_host_clock, Wrong::Offset(*offset_ms))
        }
        LocalFault::HostClockRate { ppm } => {
            host_clock::prepare(order.allow_host_clock, Wrong::Faster(*ppm))
        }
        LocalFault::Io { dir, .. } => io::prepare(lock, dir),
        LocalFault::Corrupt {
            service,
            files,
            damage,
            ..
        } => corrupt::prepare(lock, order, (service, files), *damage),
    }
}

/// Lets the fault loose.
pub(crate) fn strike(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    act: &LocalFault,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    match act {
        LocalFault::Freeze { .. }
        | LocalFault::CpuQuota { .. }
        | LocalFault::MemoryLimit { .. }
        | LocalFault::TaskLimit { .. } => grouped::strike(lock, entry, act, noop, ordered),
        LocalFault::HoldThreads { .. }
        | LocalFault::CrashLoop { .. }
        | LocalFault::CpuBurn { .. }
        | LocalFault::MemoryHold { .. } => helped::strike(lock, entry, act, noop, ordered),
        LocalFault::FileLimit { service, more } => {
            file_limit::strike(lock, entry, (service, *more), noop, ordered)
        }
        LocalFault::InodesFull { dir } => inodes::strike(lock, dir, noop, ordered),
        LocalFault::HostClock { offset_ms } => {
            host_clock::strike(lock, entry, Wrong::Offset(*offset_ms), noop, ordered)
        }
        LocalFault::HostClockRate { ppm } => {
            host_clock::strike(lock, entry, Wrong::Faster(*ppm), noop, ordered)
        }
        LocalFault::Io { dir, effects } => io::strike(lock, dir, effects, noop, ordered),
        LocalFault::Corrupt {
            service,
            files,
            damage,
            seed,
        } => {
            let what = (service.as_str(), files.as_str(), *damage, *seed);
            corrupt::strike(lock, entry, what, noop, ordered)
        }
    }
}

/// The fault's effect just before its end.
pub(crate) fn last_look(
    lock: &StateLock<'_>,
    entry: &Entry,
    act: &LocalFault,
    installed: NodeOutcome,
) -> Result<NodeOutcome, AgentError> {
    Ok(match act {
        LocalFault::Freeze { .. }
        | LocalFault::CpuQuota { .. }
        | LocalFault::MemoryLimit { .. }
        | LocalFault::TaskLimit { .. } => grouped::last_look(entry, act, installed),
        LocalFault::HoldThreads { .. }
        | LocalFault::CrashLoop { .. }
        | LocalFault::CpuBurn { .. }
        | LocalFault::MemoryHold { .. } => helped::last_look(entry, act, installed),
        LocalFault::FileLimit { .. } => file_limit::last_look(entry, installed),
        LocalFault::InodesFull { dir } => inodes::last_look(dir, installed),
        LocalFault::HostClock { .. } | LocalFault::HostClockRate { .. } => {
            host_clock::last_look(&entry.undo, installed)
        }
        LocalFault::Io { dir, .. } => io::last_look(lock, dir, installed)?,
        LocalFault::Corrupt { .. } => installed,
    })
}

/// Whether a fault goes on to hold for processes that come later.
pub(crate) fn follows(order: &NodeFault) -> bool {
    matches!(
        order,
        NodeFault::Local {
            act: LocalFault::CpuQuota { .. }
                | LocalFault::MemoryLimit { .. }
                | LocalFault::TaskLimit { .. }
                | LocalFault::FileLimit { .. }
        }
    )
}

/// Puts processes that came since under the faults in place that hold for their service.
pub(crate) fn extend(lock: &StateLock<'_>) -> Result<(), AgentError> {
    for (_, entry) in ledger::list(lock)? {
        // One that can't be read is reported by whoever heals.
        let Ok(entry) = entry else { continue };
        let NodeFault::Local { act } = &entry.order else {
            continue;
        };
        let holds = (entry.installed.as_ref())
            .is_some_and(|installed| installed.outcome != Outcome::Skipped);
        let (true, true, Some(service)) = (holds, follows(&entry.order), act.service()) else {
            continue;
        };
        let Some(record) = Record::load(lock, service)? else {
            continue;
        };
        for step in &entry.undo {
            match step {
                UndoStep::RemoveGroup { group } => grouped::take_all(group, &record.process)?,
                UndoStep::RestoreFileLimit { ours, .. } => {
                    file_limit::extend(&record.process, *ours)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The outcome of a fault that was to have no effect, and had none.
fn nothing(what: &str) -> NodeOutcome {
    NodeOutcome {
        outcome: Outcome::Skipped,
        evidence: vec![evidence(what, "not touched")],
    }
}
