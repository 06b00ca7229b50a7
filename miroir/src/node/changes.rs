//! The node's change log: a row for each request that changed something, written in the request's own transaction, so
//! that log and documents agree after any crash. The oldest rows go when there are more changes than are to be kept.

use std::hash::{BuildHasher as _, RandomState};

use redb::{ReadTransaction, ReadableTable as _, Table, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::store::{META, StoreError, redb_error};
use crate::wire::message::{Change, ChangeLog, Origin};

/// Rows by the number of their first change.
const CHANGES: TableDefinition<u64, &[u8]> = TableDefinition::new("changes");
/// Number of the next change.
const META_NEXT: &str = "changes_next";
/// Identity of the log.
const META_LOG: &str = "changes_log";

/// The changes of one request.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    origin: Origin,
    /// Stamp, primary key, whether deleted.
    changes: Vec<(u64, String, bool)>,
}

/// Makes the table, and gives a new log its identity.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), StoreError> {
    txn.open_table(CHANGES).map_err(redb_error)?;
    let mut meta = txn.open_table(META).map_err(redb_error)?;
    if meta.get(META_LOG).map_err(redb_error)?.is_none() {
        // Randomly keyed: the only need is that two logs differ.
        let identity = RandomState::new().hash_one(std::process::id()) >> 12;
        meta.insert(META_LOG, identity).map_err(redb_error)?;
    }
    Ok(())
}

/// The log inside a write transaction.
pub(super) struct Log<'t> {
    rows: Table<'t, u64, &'static [u8]>,
    next: u64,
    keep: u64,
}

impl<'t> Log<'t> {
    /// Opens the log; at most about `keep` changes stay in it.
    pub(super) fn open(
        txn: &'t WriteTransaction,
        meta: &Table<'t, &'static str, u64>,
        keep: u64,
    ) -> Result<Self, StoreError> {
        let next = meta.get(META_NEXT).map_err(redb_error)?;
        Ok(Log {
            rows: txn.open_table(CHANGES).map_err(redb_error)?,
            next: next.map_or(0, |v| v.value()),
            keep,
        })
    }

    /// Adds the changes of one request.
    pub(super) fn append(
        &mut self,
        origin: Origin,
        changes: Vec<(u64, String, bool)>,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let count = changes.len() as u64;
        #[cfg(feature = "planted-bugs")]
        let origin = if crate::planted::planted(crate::planted::Bug::RepairEmitsChanges) {
            Origin::Client
        } else {
            origin
        };
        let row = serde_json::to_vec(&Row { origin, changes }).expect("strings and numbers only");
        self.rows
            .insert(self.next, row.as_slice())
            .map_err(redb_error)?;
        self.next += count;
        Ok(())
    }

    /// Removes what is too old and writes the counter back; the last thing before a commit.
    pub(super) fn finish(
        &mut self,
        meta: &mut Table<'t, &'static str, u64>,
    ) -> Result<(), StoreError> {
        let oldest = self.next.saturating_sub(self.keep);
        while self.first()?.is_some_and(|number| number < oldest) {
            self.rows.pop_first().map_err(redb_error)?;
        }
        meta.insert(META_NEXT, self.next).map_err(redb_error)?;
        Ok(())
    }
}

impl Log<'_> {
    fn first(&self) -> Result<Option<u64>, StoreError> {
        let first = self.rows.first().map_err(redb_error)?;
        Ok(first.map(|(number, _)| number.value()))
    }
}

/// Reads changes from number `from` on; whole rows, until there are at least `limit` changes.
pub(super) fn read(
    txn: &ReadTransaction,
    from: u64,
    limit: usize,
) -> Result<ChangeLog, StoreError> {
    let meta = txn.open_table(META).map_err(redb_error)?;
    let counter = |key| -> Result<u64, StoreError> {
        Ok(meta.get(key).map_err(redb_error)?.map_or(0, |v| v.value()))
    };
    let end = counter(META_NEXT)?;
    let rows = txn.open_table(CHANGES).map_err(redb_error)?;
    let first = rows.first().map_err(redb_error)?.map(|(n, _)| n.value());
    let mut log = ChangeLog {
        log: counter(META_LOG)?,
        first: first.unwrap_or(end),
        changes: Vec::new(),
        next: from,
        more: false,
    };
    // A position may lie within a row: it then begins before.
    let before = rows.range(..=from).map_err(redb_error)?.next_back();
    let start = match before {
        Some(row) => row.map_err(redb_error)?.0.value(),
        None => from,
    };
    for row in rows.range(start..).map_err(redb_error)? {
        let (number, bytes) = row.map_err(redb_error)?;
        if log.changes.len() >= limit {
            log.more = true;
            break;
        }
        let row: Row = serde_json::from_slice(bytes.value())
            .map_err(|_| StoreError::Damaged(format!("change {}", number.value())))?;
        let numbered = (number.value()..).zip(row.changes);
        log.changes.extend(numbered.filter(|(n, _)| *n >= from).map(
            |(number, (stamp, id, deleted))| Change {
                number,
                stamp,
                id,
                deleted,
                origin: row.origin,
            },
        ));
    }
    if let Some(last) = log.changes.last() {
        log.next = last.number + 1;
    }
    Ok(log)
}
