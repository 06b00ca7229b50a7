//! Carrying out an order: what undoes it goes into the ledger first, then the effect, then a look at
//! what the effect was.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::error::AgentError;
use super::evidence::{evidence, states};
use super::ledger::{self, Entry, UndoStep};
use super::nft;
use super::process::ProcessId;
use super::rules::{self, Management};
use super::service::{self, Record};
use super::state_dir::StateLock;
use super::undo;
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};

/// How long stopped processes may take to show it.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// An order and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) agent: &'a ProcessId,
    pub(crate) run: &'a str,
    pub(crate) fault: &'a str,
    pub(crate) order: &'a NodeFault,
    pub(crate) noop: bool,
    pub(crate) management: &'a Management,
}

/// Inflicts a fault and says what that showed. On an error nothing of it stays.
pub(crate) fn install(lock: &StateLock<'_>, order: Order<'_>) -> Result<NodeOutcome, AgentError> {
    if ledger::find(lock, order.run, order.fault)?.is_some() {
        return Err(AgentError::FaultInPlace(order.fault.to_owned()));
    }
    let mut entry = Entry {
        run: order.run.to_owned(),
        fault: order.fault.to_owned(),
        order: order.order.clone(),
        agent: order.agent.clone(),
        undo: Vec::new(),
        installed: None,
    };
    let table = rules::table_name(order.run, order.fault);
    let noop = order.noop;
    let outcome = match order.order {
        NodeFault::DropFrom { peers } => {
            let table = rules::drop_from(&table, peers, order.management);
            filter(lock, &mut entry, &table, noop)
        }
        NodeFault::Reset {
            port,
            from,
            probability,
        } => {
            let table = rules::reset(&table, *port, from, *probability, order.management);
            filter(lock, &mut entry, &table, noop)
        }
        NodeFault::Kill { service, restart } => kill(lock, &mut entry, service, *restart, noop),
        NodeFault::Pause { service } => pause(lock, &mut entry, service, noop),
    };
    let kept = outcome.and_then(|outcome| {
        entry.installed = Some(outcome.clone());
        ledger::write(lock, &entry)?;
        Ok(outcome)
    });
    if kept.is_err() {
        undo::steps(lock, &entry)?;
        ledger::remove(lock, &entry)?;
    }
    kept
}

fn filter(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    table: &rules::Table,
    noop: bool,
) -> Result<NodeOutcome, AgentError> {
    if nft::exists(&table.name)? {
        return Err(AgentError::Refused(format!(
            "table {} exists and is not in the ledger",
            table.name
        )));
    }
    entry.undo.push(UndoStep::DeleteTable {
        table: table.name.clone(),
    });
    ledger::write(lock, entry)?;
    if !noop {
        nft::load(lock, table)?;
    }
    let what = format!("rules of table {}", table.name);
    Ok(match nft::rules(&table.name)? {
        Some(rules) => {
            let comments: Vec<&str> = rules.iter().map(|rule| rule.comment.as_str()).collect();
            NodeOutcome {
                outcome: Outcome::Installed,
                evidence: vec![evidence(what, comments.join(", "))],
            }
        }
        None => NodeOutcome {
            outcome: Outcome::Skipped,
            evidence: vec![evidence(what, "no such table")],
        },
    })
}

fn kill(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    service: &str,
    restart: bool,
    noop: bool,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
    if restart {
        entry.undo.push(UndoStep::StartService {
            service: service.to_owned(),
        });
    }
    ledger::write(lock, entry)?;
    let tree = leader.tree();
    let mut seen = states(&tree, "before");
    let all_gone = if noop {
        tree.iter().all(|process| !process.is_alive())
    } else {
        service::kill_tree(&leader)?
    };
    seen.extend(states(&tree, "after"));
    let outcome = match (noop, all_gone) {
        (false, true) => Outcome::Installed,
        (true, false) => Outcome::Skipped,
        // Killed and still there, or not killed and yet gone.
        _ => Outcome::Indeterminate,
    };
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

fn pause(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    service: &str,
    noop: bool,
) -> Result<NodeOutcome, AgentError> {
    let leader = match running(lock, service)? {
        Ok(leader) => leader,
        Err(outcome) => return Ok(outcome),
    };
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
        entry.undo.extend(
            new.iter()
                .cloned()
                .map(|process| UndoStep::Continue { process }),
        );
        ledger::write(lock, entry)?;
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
    seen.extend(states(&stopped, "after"));
    let outcome = if stopped.iter().all(|p| p.state() == Some('T')) {
        Outcome::Installed
    } else if stopped.iter().any(|p| p.state() == Some('T')) {
        Outcome::Indeterminate
    } else {
        Outcome::Skipped
    };
    Ok(NodeOutcome {
        outcome,
        evidence: seen,
    })
}

/// The first process of a running service, or the outcome of a fault on one that doesn't run.
fn running(
    lock: &StateLock<'_>,
    service: &str,
) -> Result<Result<ProcessId, NodeOutcome>, AgentError> {
    let seen = match Record::load(lock, service)? {
        Some(record) if record.process.is_alive() => return Ok(Ok(record.process)),
        Some(record) => format!("not running, pid {} is gone", record.process.pid),
        None => "never started here".to_owned(),
    };
    Ok(Err(NodeOutcome {
        outcome: Outcome::Skipped,
        evidence: vec![evidence(format!("service {service}"), seen)],
    }))
}
