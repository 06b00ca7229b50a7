//! Carrying out an order, in two steps: what undoes it goes into the ledger and what takes time is
//! done; then, maybe much later, the effect, and a look at what it was.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::error::AgentError;
use super::evidence::{evidence, states};
use super::ledger::{self, Entry, UndoStep};
use super::nft::{self, Loader};
use super::process::ProcessId;
use super::rules::{self, Management, Table};
use super::service::{self, Record};
use super::state_dir::StateLock;
use super::undo;
use crate::fault::NodeFault;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

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

/// A fault that is in the ledger and needs only be let loose.
#[derive(Debug)]
pub(crate) struct Prepared {
    entry: Entry,
    noop: bool,
    /// For faults on packets, unless nothing is to happen.
    loader: Option<(Loader, Table)>,
}

impl Prepared {
    pub(crate) fn is_for(&self, order: &NodeFault, noop: bool) -> bool {
        self.entry.order == *order && self.noop == noop
    }

    /// False if someone healed the node since: what would undo this fault is not on disk any more.
    pub(crate) fn is_in_ledger(&self, lock: &StateLock<'_>) -> Result<bool, AgentError> {
        let found = ledger::find(lock, &self.entry.run, &self.entry.fault)?;
        Ok(found.as_ref() == Some(&self.entry))
    }
}

/// Does everything that takes time before a fault strikes. On an error nothing of it stays.
pub(crate) fn prepare(lock: &StateLock<'_>, order: Order<'_>) -> Result<Prepared, AgentError> {
    if ledger::find(lock, order.run, order.fault)?.is_some() {
        return Err(AgentError::FaultInPlace(order.fault.to_owned()));
    }
    refuse_unsupported(order.order)?;
    let mut prepared = Prepared {
        entry: Entry {
            run: order.run.to_owned(),
            fault: order.fault.to_owned(),
            order: order.order.clone(),
            agent: order.agent.clone(),
            undo: Vec::new(),
            installed: None,
        },
        noop: order.noop,
        loader: None,
    };
    match order.order {
        NodeFault::DropFrom { .. } | NodeFault::Reset { .. } => {
            prepare_table(&mut prepared, table(order))?;
        }
        NodeFault::Kill {
            service, restart, ..
        } => {
            prepared.entry.undo = match running(lock, service)? {
                Ok(_) => restart_step(service, *restart),
                Err(_) => Vec::new(),
            };
        }
        NodeFault::Pause { service } => {
            if let Ok(leader) = running(lock, service)? {
                prepared.entry.undo = continue_steps(&leader.tree());
            }
        }
        _ => {}
    }
    ledger::write(lock, &prepared.entry)?;
    Ok(prepared)
}

/// Lets a prepared fault loose and says what that showed. On an error nothing of it stays.
/// `ordered` is when it was asked for.
pub(crate) fn strike(
    lock: &StateLock<'_>,
    prepared: Prepared,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let Prepared {
        mut entry,
        noop,
        loader,
    } = prepared;
    let outcome = match entry.order.clone() {
        NodeFault::DropFrom { .. } | NodeFault::Reset { .. } => filter(&entry, loader, ordered),
        NodeFault::Kill {
            service, restart, ..
        } => kill(lock, &mut entry, &service, restart, noop, ordered),
        NodeFault::Pause { service } => pause(lock, &mut entry, &service, noop, ordered),
        other => refuse_unsupported(&other).map(|()| unreachable!("refused when prepared")),
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

/// Ends a fault that was prepared and never struck.
pub(crate) fn abandon(lock: &StateLock<'_>, prepared: Prepared) -> Result<NodeOutcome, AgentError> {
    undo::steps(lock, &prepared.entry)?;
    ledger::remove(lock, &prepared.entry)?;
    Ok(NodeOutcome {
        outcome: Outcome::Skipped,
        evidence: vec![evidence("fault", "prepared, never installed")],
    })
}

fn table(order: Order<'_>) -> Option<Table> {
    let name = rules::table_name(order.run, order.fault);
    match order.order {
        NodeFault::DropFrom { peers } => Some(rules::drop_from(&name, peers, order.management)),
        NodeFault::Reset {
            port,
            from,
            probability,
            ..
        } => Some(rules::reset(
            &name,
            *port,
            from,
            *probability,
            order.management,
        )),
        _ => None,
    }
}

fn prepare_table(prepared: &mut Prepared, table: Option<Table>) -> Result<(), AgentError> {
    let Some(table) = table else {
        return Ok(());
    };
    if nft::exists(&table.name)? {
        return Err(AgentError::Refused(format!(
            "table {} exists and is not in the ledger",
            table.name
        )));
    }
    prepared.entry.undo.push(UndoStep::DeleteTable {
        table: table.name.clone(),
    });
    if !prepared.noop {
        let loader = Loader::start()?;
        if let Some(process) = loader.process() {
            prepared.entry.undo.push(UndoStep::EndLoader { process });
        }
        prepared.loader = Some((loader, table));
    }
    Ok(())
}

fn filter(
    entry: &Entry,
    loader: Option<(Loader, Table)>,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let name = rules::table_name(&entry.run, &entry.fault);
    let what = format!("rules of table {name}");
    if let Some((loader, table)) = loader {
        loader.load(&table)?;
        let took = time_to_effect(ordered);
        nft::check(&table)?;
        return Ok(NodeOutcome {
            outcome: Outcome::Installed,
            evidence: vec![evidence(what, table.comments.join(", ")), took],
        });
    }
    // Nothing was to happen; the kernel is asked all the same.
    let (outcome, seen) = if nft::exists(&name)? {
        (Outcome::Indeterminate, "there, though nothing was loaded")
    } else {
        (Outcome::Skipped, "no such table")
    };
    Ok(NodeOutcome {
        outcome,
        evidence: vec![evidence(what, seen)],
    })
}

fn kill(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    service: &str,
    restart: bool,
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
    rewrite(lock, entry, restart_step(service, restart))?;
    let tree = leader.tree();
    let mut seen = states(&tree, "before");
    let all_gone = if noop {
        tree.iter().all(|process| !process.is_alive())
    } else {
        service::kill_tree(&leader)?
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

fn pause(
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

/// How long it took until all of the fault was in effect.
fn time_to_effect(ordered: Instant) -> Evidence {
    let milliseconds = ordered.elapsed().as_secs_f64() * 1e3;
    evidence("time from order to effect", format!("{milliseconds:.3} ms"))
}

fn restart_step(service: &str, restart: bool) -> Vec<UndoStep> {
    let step = UndoStep::StartService {
        service: service.to_owned(),
    };
    restart.then_some(step).into_iter().collect()
}

fn continue_steps(processes: &[ProcessId]) -> Vec<UndoStep> {
    processes
        .iter()
        .cloned()
        .map(|process| UndoStep::Continue { process })
        .collect()
}

/// Brings the ledger up to date, if what undoes the fault has changed since it was prepared.
fn rewrite(lock: &StateLock<'_>, entry: &mut Entry, undo: Vec<UndoStep>) -> Result<(), AgentError> {
    if entry.undo != undo {
        entry.undo = undo;
        ledger::write(lock, entry)?;
    }
    Ok(())
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

fn refuse_unsupported(order: &NodeFault) -> Result<(), AgentError> {
    let kind = match order {
        NodeFault::Kill {
            signal: crate::fault::KillSignal::Terminate,
            ..
        } => "kill with SIGTERM",
        NodeFault::Reset { containing, .. } if !containing.is_empty() => "reset by content",
        NodeFault::Delay { .. } => "delay",
        NodeFault::Clock { .. } => "clock",
        NodeFault::PowerLoss { .. } => "power_loss",
        NodeFault::DiskFull { .. } => "disk_full",
        _ => return Ok(()),
    };
    Err(AgentError::Refused(format!("{kind}: not supported yet")))
}
