//! Faults on packets by a table of rules alone.

use std::time::Instant;

use super::error::AgentError;
use super::evidence::evidence;
use super::inflict::{Order, Prepared, time_to_effect};
use super::ledger::{Entry, UndoStep};
use super::nft::{self, Loader};
use super::rules::{self, Table};
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};

/// The table of a fault that needs no more than one.
pub(crate) fn table(order: Order<'_>) -> Option<Table> {
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

/// Gets a table ready to be loaded.
pub(crate) fn prepare_table(
    prepared: &mut Prepared,
    table: Option<Table>,
) -> Result<(), AgentError> {
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

/// Loads the table.
pub(crate) fn filter(
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
