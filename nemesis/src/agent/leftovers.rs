//! What is still in place on a node: of faults, and disks.

use serde::{Deserialize, Serialize};

use super::clock;
use super::disk;
use super::error::AgentError;
use super::layer;
use super::ledger::{self, UndoStep};
use super::nft;
use super::rules;
use super::service::Record;
use super::state_dir::{StateDir, StateLock};

/// Something of a fault that is still in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// `RUN.FAULT` in the ledger; empty for a disk, and for a table of ours that no fault in the ledger
    /// accounts for.
    pub fault: String,
    /// What is there: tables, stopped processes, services down, disks.
    pub remains: Vec<String>,
}

/// What is still in place on this node, from the ledger and from the kernel's list of tables.
///
/// # Errors
/// When the state directory can't be locked or read, or nft fails though tables are in the ledger.
pub fn leftovers(state: &StateDir) -> Result<Vec<Leftover>, AgentError> {
    let lock = state.lock()?;
    let mut found = Vec::new();
    let mut known_tables = Vec::new();
    for (file, entry) in ledger::list(&lock)? {
        let (fault, remains) = match entry {
            Ok(entry) => {
                known_tables.push(rules::table_name(&entry.run, &entry.fault));
                let rebooted = !entry.is_of_this_boot()?;
                let mut remains = Vec::new();
                for step in &entry.undo {
                    if !rebooted || matches!(step, UndoStep::RemoveFiles { .. }) {
                        remains.extend(in_place(&lock, step)?);
                    }
                }
                (format!("{}.{}", entry.run, entry.fault), remains)
            }
            Err(error) => (file, vec![error.to_string()]),
        };
        found.push(Leftover { fault, remains });
    }
    // Where nft isn't there or not allowed, no table of ours can have been loaded.
    for table in nft::tables().unwrap_or_default() {
        if table.starts_with("shakedown_") && !known_tables.contains(&table) {
            found.push(Leftover {
                fault: String::new(),
                remains: vec![format!("table {table}")],
            });
        }
    }
    for disk in disk::list(&lock)? {
        found.push(Leftover {
            fault: String::new(),
            remains: vec![format!("disk {}", disk.path.display())],
        });
    }
    Ok(found)
}

fn in_place(lock: &StateLock<'_>, step: &UndoStep) -> Result<Option<String>, AgentError> {
    Ok(match step {
        UndoStep::DeleteTable { table } => nft::exists(table)?.then(|| format!("table {table}")),
        UndoStep::EndAttendant { process, .. } => process
            .is_alive()
            .then(|| format!("process {} of a fault", process.pid)),
        UndoStep::RemoveGroup { group } => group
            .exists()
            .then(|| "a control group holds processes".to_owned()),
        UndoStep::EndHelper { process, .. } => process
            .is_alive()
            .then(|| format!("helper process {}", process.pid)),
        UndoStep::RestoreFileLimit { service, .. } => {
            Some(format!("service {service} may open few files"))
        }
        UndoStep::ClearLayer { over } => layer::process(lock, over)?
            .map(|_| format!("disk {} may be slow or fail", over.display())),
        UndoStep::RemoveFiles { directory } => directory
            .exists()
            .then(|| format!("files in {}", directory.display())),
        UndoStep::SetHostClockRight { .. } => {
            Some("the clock of this host may be set wrong".to_owned())
        }
        UndoStep::SetHostClockRateRight { .. } => {
            Some("the clocks of this host may run wrong".to_owned())
        }
        UndoStep::EndLoader { .. } | UndoStep::KillRest { .. } => None,
        UndoStep::RestoreClocks { tag, .. } => match clock::shifted(*tag)?.len() {
            0 => None,
            count => Some(format!("wall clock of {count} processes is shifted")),
        },
        UndoStep::Remount { disk } => {
            disk::is_down(lock, disk)?.then(|| format!("disk {} is down", disk.display()))
        }
        UndoStep::RemoveFiller { file } => file
            .exists()
            .then(|| format!("file {} fills its disk", file.display())),
        UndoStep::Continue { process } => {
            (process.state() == Some('T')).then(|| format!("pid {} is stopped", process.pid))
        }
        UndoStep::StartService { service } => Record::load(lock, service)?
            .filter(|record| !record.process.is_alive())
            .map(|_| format!("service {service} is down")),
    })
}
