//! Faults on a service's processes: ended or stopped by signals.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::error::AgentError;
use super::evidence::states;
use super::inflict::{rewrite, running, time_to_effect};
use super::ledger::{Entry, UndoStep};
use super::process::ProcessId;
use super::service;
use super::state_dir::StateLock;
use crate::fault::KillSignal;
use crate::outcome::{NodeOutcome, Outcome};

/// How long stopped processes may take to show it: one that waits for a disk stops when the disk has answered.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long a service may take to end after SIGTERM before that is reported as it is; the agent answers
/// nobody meanwhile.
const TERM_PATIENCE: Duration = Duration::from_secs(5);

/// Ends a service by a signal.
pub(crate) fn kill(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    (service, restart, signal): (&str, bool, KillSignal),
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
    let undo = match noop {
        true => Vec::new(),
        false => kill_steps(service, restart, signal, Some(&leader)),
    };
    rewrite(lock, entry, undo)?;
    let tree = leader.tree();
    let mut seen = states(&tree, "before");
    let all_gone = if noop {
        tree.iter().all(|process| !process.is_alive())
    } else {
        match signal {
            KillSignal::Kill => service::kill_tree(&leader)?,
            KillSignal::Terminate => {
                leader.signal(Signal::SIGTERM)?;
                service::wait_until(TERM_PATIENCE, || leader.tree().is_empty())
            }
        }
    };
    let took = time_to_effect(ordered);
    seen.extend(states(&tree, "after"));
    let outcome = match (noop, all_gone) {
        (false, true) => Outcome::Installed,
        (true, false) => Outcome::Skipped,
        // Killed and still there, or not killed and yet gone.
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

/// Stops a service.
pub(crate) fn pause(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    service: &str,
    noop: bool,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
    // The service may have been started anew since the fault was prepared: what is left of the one before
    // is not stopped, and says nothing about how long the pause lasted.
    let tree = leader.tree();
    entry.undo.retain(|step| match step {
        UndoStep::Continue { process } => tree.contains(process),
        _ => true,
    });
    let mut stopped: Vec<ProcessId> = Vec::new();
    let mut seen = Vec::new();
    // A process not yet stopped may start others: look again until there are no new ones.
    loop {
        let mut new = leader.tree();
        new.retain(|process| !stopped.contains(process));
        if new.is_empty() {
            break;
        }
        seen.extend(states(&new, "before"));
        let mut unknown = continue_steps(&new);
        unknown.retain(|step| !entry.undo.contains(step));
        rewrite(lock, entry, [entry.undo.clone(), unknown].concat())?;
        if !noop {
            for process in &new {
                process.signal(Signal::SIGSTOP)?;
            }
            service::wait_until(STOP_PATIENCE, || {
                new.iter().all(|p| p.state() == Some('T') || !p.is_alive())
            });
        }
        stopped.extend(new);
    }
    let took = time_to_effect(ordered);
    seen.extend(states(&stopped, "after"));
    let paused = stopped.iter().filter(|p| p.state() == Some('T')).count();
    let outcome = if paused == 0 {
        Outcome::Skipped
    } else if paused == stopped.len() {
        Outcome::Installed
    } else {
        Outcome::Indeterminate
    };
    if outcome == Outcome::Installed {
        seen.push(took);
    }
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

/// What undoes the end of a service: it is started; before that, what is left of `leader` and its family is killed.
pub(crate) fn kill_steps(
    service: &str,
    restart: bool,
    signal: KillSignal,
    leader: Option<&ProcessId>,
) -> Vec<UndoStep> {
    if !restart {
        return Vec::new();
    }
    let mut steps = vec![UndoStep::StartService {
        service: service.to_owned(),
    }];
    if signal == KillSignal::Terminate {
        steps.extend(leader.map(|process| UndoStep::KillRest {
            process: process.clone(),
        }));
    }
    steps
}

/// What undoes a stop.
pub(crate) fn continue_steps(processes: &[ProcessId]) -> Vec<UndoStep> {
    processes
        .iter()
        .cloned()
        .map(|process| UndoStep::Continue { process })
        .collect()
}

/// A service that was told to end and took its time may have ended since; one that goes on never did.
pub(crate) fn ended_by_now(entry: &Entry, mut installed: NodeOutcome) -> NodeOutcome {
    let leader = entry.undo.iter().find_map(|step| match step {
        UndoStep::KillRest { process } => Some(process),
        _ => None,
    });
    if let (Some(leader), Outcome::Indeterminate) = (leader, installed.outcome) {
        let leader = std::slice::from_ref(leader);
        installed.evidence.extend(states(leader, "before undo"));
        installed.outcome = if leader[0].tree().is_empty() {
            Outcome::Installed
        } else {
            Outcome::Skipped
        };
    }
    installed
}
