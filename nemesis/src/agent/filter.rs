//! Faults on packets: a table of rules and, for some, an attendant: a process that reads the queue they fill,
//! or that answers connections they lead to it.

use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use super::account;
use super::error::AgentError;
use super::evidence::evidence;
use super::inflict::{Order, Prepared, time_to_effect};
use super::ledger::{Entry, UndoStep};
use super::nft::{self, Loader};
use super::port_rules;
use super::process::ProcessId;
use super::queue::{self, Looked, Reader, Totals};
use super::rules::{self, Concerned, Table};
use super::server::{self, Counts};
use super::state_dir::StateLock;
use crate::fault::NodeFault;
use crate::outcome::{NodeOutcome, Outcome};
use crate::ports::DnsMode;

/// What is needed to let a fault on packets loose.
#[derive(Debug)]
pub(crate) struct Ready {
    loader: Loader,
    table: Table,
    reader: Option<Reader>,
}

/// The table of a fault; `port` is its attendant's.
fn table(order: Order<'_>, name: &str, port: u16) -> Option<Table> {
    let management = order.management;
    match order.order {
        NodeFault::DropFrom { peers, clients } => {
            let concerned = concerned(order, peers, *clients, None);
            Some(rules::drop_from(name, concerned, management))
        }
        NodeFault::Reset {
            port,
            from,
            probability,
            containing,
        } => Some(rules::reset(
            name,
            (*port, from),
            *probability,
            !containing.is_empty(),
            management,
        )),
        NodeFault::Shape {
            from,
            clients,
            port,
            answers,
            ..
        } => {
            let concerned = Concerned {
                answers: *answers,
                ..concerned(order, from, *clients, *port)
            };
            Some(rules::shape(name, concerned, management))
        }
        NodeFault::Block {
            from,
            clients,
            port,
            mode,
        } => {
            let concerned = concerned(order, from, *clients, Some(*port));
            Some(port_rules::block(name, concerned, *mode, management))
        }
        NodeFault::Stream {
            from,
            clients,
            port: service_port,
            ..
        } => {
            let concerned = concerned(order, from, *clients, Some(*service_port));
            Some(port_rules::lead_astray(name, concerned, port, management))
        }
        NodeFault::Dns {
            mode: DnsMode::Drop,
        } => Some(port_rules::drop_answers(name, management)),
        NodeFault::Dns { .. } => Some(port_rules::lead_questions(name, port, management)),
        _ => None,
    }
}

fn concerned<'a>(
    order: Order<'a>,
    from: &'a [IpAddr],
    clients: bool,
    port: Option<u16>,
) -> Concerned<'a> {
    Concerned {
        from,
        clients: if clients { order.clients } else { &[] },
        port,
        answers: false,
    }
}

/// Gets all ready that takes time, and asks the kernel whether it can do it.
pub(crate) fn prepare_table(
    lock: &StateLock<'_>,
    prepared: &mut Prepared,
    order: Order<'_>,
) -> Result<(), AgentError> {
    let name = rules::table_name(order.run, order.fault);
    if nft::exists(&name)? {
        return Err(AgentError::Refused(format!(
            "table {name} exists and is not in the ledger"
        )));
    }
    let undo = &mut prepared.entry.undo;
    let delete = UndoStep::DeleteTable {
        table: name.clone(),
    };
    if prepared.noop {
        undo.push(delete);
        return Ok(());
    }
    // What is undone last comes first: connections are led astray while there is someone to take them.
    let server = server::start(lock, order.run, order.fault, order.order)?;
    undo.extend(server.as_ref().map(|server| server.undo.clone()));
    undo.push(delete);
    let Some(table) = table(order, &name, server.map_or(0, |server| server.number)) else {
        return Ok(());
    };
    nft::try_out(&table)?;
    let reader = queue::start(lock, order)?;
    undo.extend(reader.as_ref().map(|reader| reader.attendant.undo.clone()));
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

/// What the rules counted and an attendant did until now.
pub(crate) fn last_look(entry: &Entry, installed: NodeOutcome) -> Result<NodeOutcome, AgentError> {
    let mut outcome = counted(entry, installed)?;
    for step in &entry.undo {
        if let UndoStep::EndAttendant { process, totals } = step {
            attended(entry, (process, totals), &mut outcome);
        }
    }
    Ok(outcome)
}

fn counted(entry: &Entry, mut installed: NodeOutcome) -> Result<NodeOutcome, AgentError> {
    let table = rules::table_name(&entry.run, &entry.fault);
    let Some(found) = nft::rules(&table)? else {
        installed.evidence.push(evidence(
            format!("table {table} before undo"),
            "no such table",
        ));
        // A table that was there and is not any more was taken away by someone else.
        if installed.outcome == Outcome::Installed {
            installed.outcome = Outcome::Indeterminate;
        }
        return Ok(installed);
    };
    let mut hits = 0;
    for rule in found {
        let Some(packets) = rule.packets else {
            continue;
        };
        let harmful = [
            rules::DROPPED,
            rules::REJECTED,
            rules::SHAPED,
            port_rules::LED,
        ];
        if harmful.iter().any(|name| rule.comment.starts_with(name)) {
            hits += packets;
        }
        let what = format!("packets counted by rule `{}`", rule.comment);
        installed.evidence.push(evidence(what, packets.to_string()));
    }
    installed.outcome = if hits > 0 {
        Outcome::Installed
    } else {
        Outcome::Skipped
    };
    Ok(installed)
}

/// What an attendant did, and whether it still does it.
fn attended(entry: &Entry, (process, totals): (&ProcessId, &Path), outcome: &mut NodeOutcome) {
    let (found, happened) = match &entry.order {
        NodeFault::Shape { effects, .. } => {
            let totals: Totals = account::latest(process, totals).unwrap_or_default();
            (totals.evidence(effects), totals.show(effects))
        }
        NodeFault::Reset { .. } => {
            let looked: Looked = account::latest(process, totals).unwrap_or_default();
            (looked.evidence().into_iter().collect(), true)
        }
        NodeFault::Stream { .. } | NodeFault::Dns { .. } => {
            let counts: Counts = account::latest(process, totals).unwrap_or_default();
            (counts.evidence(&entry.order), counts.affected > 0)
        }
        _ => (Vec::new(), true),
    };
    outcome.evidence.extend(found);
    let what = format!("process {} of the fault before undo", process.pid);
    outcome.evidence.push(evidence(what, process.state_text()));
    if outcome.outcome == Outcome::Installed && !happened {
        outcome.outcome = Outcome::Skipped;
    }
    // Without it packets passed untouched, nobody knows since when.
    if !process.is_alive() && outcome.outcome == Outcome::Installed {
        outcome.outcome = Outcome::Indeterminate;
    }
}
