//! Faults by a process that goes on acting: threads held, a crash loop, busy processors, memory taken.

use std::fs;
use std::time::Instant;

use super::nothing;
use crate::agent::error::AgentError;
use crate::agent::evidence::evidence;
use crate::agent::helper::{Account, Helper, Work};
use crate::agent::inflict::{rewrite, running, time_to_effect};
use crate::agent::ledger::{Entry, UndoStep};
use crate::agent::process::ProcessId;
use crate::agent::state_dir::StateLock;
use crate::fault::local::LocalFault;
use crate::outcome::{NodeOutcome, Outcome};

/// Refuses to take more memory than a node can spare.
pub(super) fn prepare(act: &LocalFault) -> Result<Vec<UndoStep>, AgentError> {
    if let LocalFault::MemoryHold { mib } = act {
        let available = available_mib()?;
        if u64::from(*mib) * 5 > available * 4 {
            return Err(AgentError::Refused(format!(
                "memory: {mib} MiB are more than four fifths of the {available} MiB available"
            )));
        }
    }
    Ok(Vec::new())
}

/// Starts the process and waits for what it does first.
pub(super) fn strike(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    act: &LocalFault,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let work = match work(lock, entry, act)? {
        Ok(work) => work,
        Err(outcome) => return Ok(outcome),
    };
    if noop {
        return Ok(nothing("helper process"));
    }
    let helper = Helper::start(lock, &entry.run, &entry.fault, &work)?;
    let mut steps = vec![helper.undo.clone()];
    if let LocalFault::CrashLoop { service, .. } = act {
        steps.insert(
            0,
            UndoStep::StartService {
                service: service.clone(),
            },
        );
    }
    rewrite(lock, entry, steps)?;
    let account = helper.begin();
    let outcome = match account.done {
        0 => Outcome::Indeterminate,
        _ => Outcome::Installed,
    };
    Ok(NodeOutcome {
        outcome,
        evidence: vec![
            evidence("helper process", said(act, account)),
            time_to_effect(ordered),
        ],
    })
}

fn work(
    lock: &StateLock<'_>,
    entry: &Entry,
    act: &LocalFault,
) -> Result<Result<Work, NodeOutcome>, AgentError> {
    let leader = match act.service() {
        None => None,
        Some(service) => match running(lock, service)? {
            Ok(leader) => Some(leader),
            Err(outcome) => return Ok(Err(outcome)),
        },
    };
    let work = match (act, leader) {
        (LocalFault::HoldThreads { share, hold_ms, .. }, Some(leader)) => Work::HoldThreads {
            leader,
            share: *share,
            hold_ms: *hold_ms,
            seed: entry.seed,
        },
        (
            LocalFault::CrashLoop {
                service,
                up_ms,
                down_ms,
            },
            _,
        ) => Work::CrashLoop {
            service: service.clone(),
            up_ms: *up_ms,
            down_ms: *down_ms,
        },
        (LocalFault::CpuBurn { threads }, _) => Work::Burn { threads: *threads },
        (LocalFault::MemoryHold { mib }, _) => Work::HoldMemory { mib: *mib },
        (other, _) => {
            let kind = other.kind();
            return Err(AgentError::Refused(format!("{kind} needs no helper")));
        }
    };
    Ok(Ok(work))
}

/// What the process has done until now, and whether it still does it.
pub(super) fn last_look(
    entry: &Entry,
    act: &LocalFault,
    mut installed: NodeOutcome,
) -> NodeOutcome {
    let found = entry.undo.iter().find_map(|step| match step {
        UndoStep::EndHelper { process, account } => Some((process, account)),
        _ => None,
    });
    let Some((process, account)) = found else {
        return installed;
    };
    let account = Account::read(account);
    let mut seen = vec![evidence("helper process before undo", said(act, account))];
    if let LocalFault::CpuBurn { .. } = act {
        let used = process_seconds(process);
        seen.push(evidence(
            "processor time it has used",
            format!("{used:.2} s"),
        ));
    }
    installed.evidence.extend(seen);
    let what = format!("state of helper process {} before undo", process.pid);
    installed
        .evidence
        .push(evidence(what, process.state_text()));
    installed.outcome = match (account.done, process.is_alive()) {
        (0, _) => Outcome::Skipped,
        (_, true) => installed.outcome,
        (_, false) => Outcome::Indeterminate,
    };
    installed
}

fn said(act: &LocalFault, account: Account) -> String {
    let Account { done, rounds } = account;
    match act {
        LocalFault::HoldThreads { .. } => format!("held {done} threads in {rounds} rounds"),
        LocalFault::CrashLoop { .. } => format!("killed {done} times, started {rounds} times"),
        LocalFault::CpuBurn { .. } => format!("{done} threads burn"),
        _ => format!("{done} MiB taken"),
    }
}

/// Processor time of a process, user and system, seconds; proc_pid_stat(5).
fn process_seconds(process: &ProcessId) -> f64 {
    /// Of the kernel's clock, a second, on every architecture the agent is built for.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    let after_name = text.rfind(')').map_or("", |at| &text[at + 1..]);
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / TICKS
}

fn available_mib() -> Result<u64, AgentError> {
    let path = "/proc/meminfo".as_ref();
    let text = fs::read_to_string(path).map_err(AgentError::file("read", path))?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or(0) >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_a_node_can_spare_is_refused() {
        let available = u32::try_from(available_mib().unwrap()).unwrap();
        assert!(available > 0);
        let refused = prepare(&LocalFault::MemoryHold { mib: available }).unwrap_err();
        assert!(refused.to_string().contains("four fifths"), "{refused}");
        assert!(prepare(&LocalFault::MemoryHold { mib: 1 }).is_ok());
    }
}
