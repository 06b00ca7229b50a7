//! The node's database: its tables and snapshots.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTableMetadata as _,
    TableDefinition, WriteTransaction,
};
use thiserror::Error;

use super::changes;
use super::homes::{Found, Homes};
use crate::wire::message::ChangeLog;

/// Records by (index, shard, primary key).
pub(crate) const RECORDS: TableDefinition<(&str, u32, &str), &[u8]> =
    TableDefinition::new("records");
/// Shard of each record that does not lie where its key's hash says, by (index, primary key).
pub(crate) const SHARDS: TableDefinition<(&str, &str), u32> = TableDefinition::new("shards");
/// Number of live documents by (index, shard).
pub(crate) const COUNTS: TableDefinition<(&str, u32), u64> = TableDefinition::new("counts");
/// Lowest term accepted in writes, by (index, shard).
pub(crate) const FENCES: TableDefinition<(&str, u32), u64> = TableDefinition::new("fences");
/// Documents that expire, by (index, time in milliseconds, primary key).
pub(crate) const EXPIRIES: TableDefinition<(&str, u64, &str), ()> =
    TableDefinition::new("expiries");
/// Counters: see the `META_` keys.
pub(crate) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// [`RECORDS`], opened for reading.
pub(crate) type Records = ReadOnlyTable<(&'static str, u32, &'static str), &'static [u8]>;

/// [`EXPIRIES`], opened for reading.
pub(crate) type Expiries = ReadOnlyTable<(&'static str, u64, &'static str), ()>;

/// Number of the last commit.
pub(crate) const META_SEQ: &str = "seq";
/// Number of the next task.
pub(crate) const META_TASK: &str = "task";
/// Lowest router epoch accepted.
pub(crate) const META_EPOCH: &str = "epoch";
/// The router process that registered that epoch; 0 if unknown.
pub(crate) const META_INCARNATION: &str = "incarnation";

/// Number of the router's shards.
pub(crate) const META_SHARDS: &str = "shards";
/// Highest stamp ever given.
pub(crate) const META_STAMP: &str = "stamp";

/// Shard of documents written without one, by plain Meilisearch clients.
pub(crate) const NO_SHARD: u32 = u32::MAX - 1;

/// How often opening anew is tried.
const REOPENING: u32 = 20;

/// Something went wrong in the database.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// redb said so.
    #[error("storage: {0}")]
    Redb(#[from] redb::Error),
    /// The file could not be opened again after an I/O error.
    #[error("storage: the database is closed after an I/O error")]
    Closed,
    /// Stored bytes do not make sense.
    #[error("storage: the record of `{0}` is damaged")]
    Damaged(String),
    /// The redo log could not be read or written.
    #[error("storage: the redo log: {0}")]
    Redo(#[from] std::io::Error),
    /// A batch of the redo log does not make sense.
    #[error("storage: batch {0} of the redo log is damaged")]
    Batch(u64),
}

/// redb has one error type per call; all of them are one kind of trouble here.
pub(crate) fn redb_error(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Redb(error.into())
}

/// The database. After an I/O error redb refuses everything until the file is opened anew.
pub(crate) struct Store {
    path: PathBuf,
    cache_bytes: usize,
    database: RwLock<Option<Database>>,
}

impl Store {
    /// Opens or makes the database, with all tables; at most `cache_bytes` of it are kept in memory. `catch_up` brings
    /// it to the end of the redo log before anybody reads it.
    pub(crate) fn open(
        path: &Path,
        cache_bytes: usize,
        catch_up: impl FnOnce(&Database) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let database = open(path, cache_bytes)?;
        catch_up(&database)?;
        Ok(Store {
            path: path.to_owned(),
            cache_bytes,
            database: RwLock::new(Some(database)),
        })
    }

    /// A consistent view of everything committed so far; all of it is on disk, in the database or in the redo log.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        Ok(Snapshot {
            txn: database.begin_read().map_err(redb_error)?,
        })
    }

    /// Begins a write transaction. What it does outlasts a crash when it is in the redo log, or after a later commit
    /// that is made to last.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        database.begin_write().map_err(redb_error)
    }

    /// Closes the database and opens it anew, as it was after the last commit that is on disk; `catch_up` does the
    /// rest.
    pub(crate) fn reopen(
        &self,
        catch_up: impl FnOnce(&Database) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *database = None;
        let mut tries = REOPENING;
        loop {
            match open(&self.path, self.cache_bytes) {
                Ok(opened) => {
                    catch_up(&opened)?;
                    *database = Some(opened);
                    return Ok(());
                }
                // Reads under way still hold the file.
                Err(_) if tries > 0 => tries -= 1,
                Err(error) => return Err(error),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Bytes that can still be written to the disk.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let disk = nix::sys::statvfs::statvfs(&self.path).ok()?;
        Some(disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    /// Size of the file.
    pub(crate) fn size_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |m| m.len())
    }
}

fn open(path: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    let database = Database::builder()
        .set_cache_size(cache_bytes)
        .create(path)
        .map_err(redb_error)?;
    let txn = database.begin_write().map_err(redb_error)?;
    txn.open_table(RECORDS).map_err(redb_error)?;
    txn.open_table(SHARDS).map_err(redb_error)?;
    txn.open_table(COUNTS).map_err(redb_error)?;
    txn.open_table(FENCES).map_err(redb_error)?;
    txn.open_table(EXPIRIES).map_err(redb_error)?;
    txn.open_table(META).map_err(redb_error)?;
    changes::create(&txn)?;
    txn.commit().map_err(redb_error)?;
    Ok(database)
}

/// A consistent view of the database.
pub(crate) struct Snapshot {
    txn: ReadTransaction,
}

impl Snapshot {
    /// A view of the change log.
    pub(crate) fn changes(&self, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        changes::read(&self.txn, after, limit)
    }

    /// The records.
    pub(crate) fn records(&self) -> Result<Records, StoreError> {
        self.txn.open_table(RECORDS).map_err(redb_error)
    }

    /// Documents that expire.
    pub(crate) fn expiries(&self) -> Result<Expiries, StoreError> {
        self.txn.open_table(EXPIRIES).map_err(redb_error)
    }

    /// What finds single keys.
    pub(crate) fn lookup(&self) -> Result<Lookup, StoreError> {
        Ok(Lookup {
            homes: Homes::of(self.counter(META_SHARDS)?),
            records: self.records()?,
            shards: self.txn.open_table(SHARDS).map_err(redb_error)?,
        })
    }

    /// Number of the last commit contained.
    pub(crate) fn seq(&self) -> Result<u64, StoreError> {
        self.counter(META_SEQ)
    }

    /// A counter.
    pub(crate) fn counter(&self, key: &str) -> Result<u64, StoreError> {
        let meta = self.txn.open_table(META).map_err(redb_error)?;
        Ok(meta.get(key).map_err(redb_error)?.map_or(0, |v| v.value()))
    }

    /// Live documents and tombstones of all indexes.
    pub(crate) fn records_held(&self) -> Result<(u64, u64), StoreError> {
        let counts = self.txn.open_table(COUNTS).map_err(redb_error)?;
        let mut live = 0;
        for row in counts.range::<(&str, u32)>(..).map_err(redb_error)? {
            live += row.map_err(redb_error)?.1.value();
        }
        let all = self.records()?.len().map_err(redb_error)?;
        Ok((live, all.saturating_sub(live)))
    }

    /// Live documents of a shard, or of the whole index.
    pub(crate) fn count(&self, index: &str, shard: Option<u32>) -> Result<u64, StoreError> {
        let counts = self.txn.open_table(COUNTS).map_err(redb_error)?;
        let (first, last) = shard.map_or((0, u32::MAX), |s| (s, s));
        let mut total = 0;
        for row in counts
            .range((index, first)..=(index, last))
            .map_err(redb_error)?
        {
            total += row.map_err(redb_error)?.1.value();
        }
        Ok(total)
    }
}

impl Snapshot {
    /// The shard in which the live document with that number lies, in the order of shards and keys, and its number
    /// there. Takes time proportional to the number of shards.
    pub(crate) fn skip_shards(
        &self,
        index: &str,
        number: usize,
    ) -> Result<(u32, usize), StoreError> {
        let counts = self.txn.open_table(COUNTS).map_err(redb_error)?;
        let mut left = number;
        let mut next = 0;
        for row in counts
            .range((index, 0)..=(index, u32::MAX))
            .map_err(redb_error)?
        {
            let (key, count) = row.map_err(redb_error)?;
            let shard = key.value().1;
            let count = usize::try_from(count.value()).unwrap_or(usize::MAX);
            if left < count {
                return Ok((shard, left));
            }
            left -= count;
            next = shard.saturating_add(1);
        }
        Ok((next, left))
    }
}

/// Finds single keys in a snapshot.
pub(crate) struct Lookup {
    homes: Homes,
    records: Records,
    shards: ReadOnlyTable<(&'static str, &'static str), u32>,
}

impl Lookup {
    /// A key's shard and record, for live documents and tombstones.
    pub(crate) fn find(&self, index: &str, id: &str) -> Result<Option<Found<'_>>, StoreError> {
        self.homes.find(&self.records, &self.shards, index, id)
    }
}
