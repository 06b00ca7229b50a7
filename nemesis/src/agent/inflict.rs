//! Carrying out an order, in two steps: what undoes it goes into the ledger and what takes time is
//! done; then, maybe much later, the effect, and a look at what it was.

use std::net::IpAddr;
use std::time::Instant;

use super::clock;
use super::disk;
use super::error::AgentError;
use super::evidence::evidence;
use super::filter;
use super::ledger::{self, Entry};
use super::local;
use super::process::ProcessId;
use super::rules::Management;
use super::service::Record;
use super::signals::{self, continue_steps, kill_steps};
use super::state_dir::StateLock;
use super::undo;
use crate::fault::NodeFault;
use crate::outcome::{Evidence, NodeOutcome, Outcome};

/// An order and what it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) agent: &'a ProcessId,
    pub(crate) run: &'a str,
    pub(crate) fault: &'a str,
    pub(crate) order: &'a NodeFault,
    pub(crate) noop: bool,
    /// What its lots are drawn from.
    pub(crate) seed: u64,
    /// Whether the run may set the node's own clock.
    pub(crate) allow_host_clock: bool,
    pub(crate) management: &'a Management,
    /// Where the harness's clients speak from.
    pub(crate) clients: &'a [IpAddr],
}

/// A fault that is in the ledger and needs only be let loose.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) entry: Entry,
    pub(crate) noop: bool,
    /// For faults on packets, unless nothing is to happen.
    pub(crate) ready: Option<filter::Ready>,
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
    let mut prepared = Prepared {
        entry: Entry {
            run: order.run.to_owned(),
            fault: order.fault.to_owned(),
            order: order.order.clone(),
            agent: order.agent.clone(),
            seed: order.seed,
            undo: Vec::new(),
            installed: None,
        },
        noop: order.noop,
        ready: None,
    };
    let outcome =
        make_ready(lock, &mut prepared, order).and_then(|()| ledger::write(lock, &prepared.entry));
    if let Err(error) = outcome {
        undo::steps(lock, &prepared.entry)?;
        return Err(error);
    }
    Ok(prepared)
}

/// Says what will undo a fault, and starts what it needs.
fn make_ready(
    lock: &StateLock<'_>,
    prepared: &mut Prepared,
    order: Order<'_>,
) -> Result<(), AgentError> {
    match order.order {
        NodeFault::DropFrom { .. }
        | NodeFault::Reset { .. }
        | NodeFault::Shape { .. }
        | NodeFault::Block { .. }
        | NodeFault::Stream { .. }
        | NodeFault::Dns { .. } => {
            filter::prepare_table(lock, prepared, order)?;
        }
        NodeFault::Kill {
            service,
            restart,
            signal,
        } => {
            if running(lock, service)?.is_ok() {
                // Nothing of it is to be killed should this never strike.
                prepared.entry.undo = kill_steps(service, *restart, *signal, None);
            }
        }
        NodeFault::Pause { service } => {
            if let Ok(leader) = running(lock, service)? {
                prepared.entry.undo = continue_steps(&leader.tree());
            }
        }
        NodeFault::Clock { service, .. } => {
            prepared.entry.undo = clock::clock_steps(
                lock,
                order.run,
                order.fault,
                service,
                clock::Moment::default(),
            )?;
        }
        NodeFault::PowerLoss { service, dir } => {
            prepared.entry.undo = disk::power_loss_steps(lock, service, dir)?;
        }
        NodeFault::DiskFull { dir, .. } => {
            prepared.entry.undo = disk::full_steps(lock, dir)?;
        }
        NodeFault::Local { act } => {
            prepared.entry.undo = local::prepare(lock, order, act)?;
        }
    }
    Ok(())
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
        ready,
    } = prepared;
    let outcome = match entry.order.clone() {
        NodeFault::DropFrom { .. }
        | NodeFault::Reset { .. }
        | NodeFault::Shape { .. }
        | NodeFault::Block { .. }
        | NodeFault::Stream { .. }
        | NodeFault::Dns { .. } => filter::filter(&entry, ready, ordered),
        NodeFault::Kill {
            service,
            restart,
            signal,
        } => {
            let order = (service.as_str(), restart, signal);
            signals::kill(lock, &mut entry, order, noop, ordered)
        }
        NodeFault::Pause { service } => signals::pause(lock, &mut entry, &service, noop, ordered),
        NodeFault::Clock { service, skew } => {
            clock::clock(lock, &mut entry, (&service, skew), noop, ordered)
        }
        NodeFault::PowerLoss { service, dir } => {
            disk::power_loss(lock, &mut entry, (&service, &dir), noop, ordered)
        }
        NodeFault::DiskFull { dir, leave_bytes } => {
            disk::disk_full(lock, &dir, leave_bytes, noop, ordered)
        }
        NodeFault::Local { act } => local::strike(lock, &mut entry, &act, noop, ordered),
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

/// How long it took until all of the fault was in effect.
pub(crate) fn time_to_effect(ordered: Instant) -> Evidence {
    let milliseconds = ordered.elapsed().as_secs_f64() * 1e3;
    evidence("time from order to effect", format!("{milliseconds:.3} ms"))
}

/// Brings the ledger up to date, if what undoes the fault has changed since it was prepared.
pub(crate) fn rewrite(
    lock: &StateLock<'_>,
    entry: &mut Entry,
    undo: Vec<ledger::UndoStep>,
) -> Result<(), AgentError> {
    if entry.undo != undo {
        entry.undo = undo;
        ledger::write(lock, entry)?;
    }
    Ok(())
}

/// The first process of a running service, or the outcome of a fault on one that doesn't run.
pub(crate) fn running(
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
