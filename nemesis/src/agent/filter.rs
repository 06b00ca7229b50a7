//! Faults on packets: a table of rules and, for some, a process that reads the queue they fill.

use std::time::Instant;

use super::error::AgentError;
use super::evidence::evidence;
use super::inflict::{Order, Prepared, time_to_effect};
use super::ledger::{Entry, UndoStep};
use super::nft::{self, Loader};
use super::queue::{self, Reader};
use super::rules::{self, Concerned, Table};
use super::state_dir::StateLock;
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};

/// What is needed to let a fault on packets loose.
#[derive(Debug)]
pub(crate) struct Ready {
    loader: Loader,
    table: Table,
    reader: Option<Reader>,
}

/// The table of a fault.
fn table(order: Order<'_>) -> Option<Table> {
    let name = rules::table_name(order.run, order.fault);
    match order.order {
        NodeFault::DropFrom { peers } => Some(rules::drop_from(&name, peers, order.management)),
        NodeFault::Reset {
            port,
            from,
            probability,
            containing,
        } => Some(rules::reset(
            &name,
            (*port, from),
            *probability,
            !containing.is_empty(),
            order.management,
        )),
        NodeFault::Shape {
            from,
            clients,
            port,
            answers,
            ..
        } => {
            let concerned = Concerned {
                from,
                clients: *clients,
                port: *port,
                answers: *answers,
            };
            Some(rules::shape(&name, concerned, order.management))
        }
        _ => None,
    }
}

/// Gets all ready that takes time.
pub(crate) fn prepare_table(
    lock: &StateLock<'_>,
    prepared: &mut Prepared,
    order: Order<'_>,
) -> Result<(), AgentError> {
    let Some(table) = table(order) else {
        return Ok(());
    };
    if nft::exists(&table.name)? {
        return Err(AgentError::Refused(format!(
            "table {} exists and is not in the ledger",
            table.name
        )));
    }
    let undo = &mut prepared.entry.undo;
    undo.push(UndoStep::DeleteTable {
        table: table.name.clone(),
    });
    if !prepared.noop {
        let reader = queue::start(lock, order.run, order.fault, order.order)?;
        undo.extend(reader.as_ref().map(|reader| reader.undo.clone()));
        let loader = Loader::start()?;
        undo.extend(
            loader
                .process()
                .map(|process| UndoStep::EndLoader { process }),
        );
        prepared.ready = Some(Ready {
            loader,
            table,
            reader,
        });
    }
    Ok(())
}

/// Loads the table and, if it has one, lets it fill its queue.
pub(crate) fn filter(
    entry: &Entry,
    ready: Option<Ready>,
    ordered: Instant,
) -> Result<NodeOutcome, AgentError> {
    let name = rules::table_name(&entry.run, &entry.fault);
    let what = format!("rules of table {name}");
    if let Some(ready) = ready {
        let table = &ready.table;
        ready.loader.load(table)?;
        if let (Some(reader), Some((chain, comment))) = (&ready.reader, table.queue) {
            reader.fill_from(&table.name, chain, comment)?;
        }
        let took = time_to_effect(ordered);
        nft::check(table)?;
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
