//! The router's database: the state as one JSON value, and the stamps reserved. Every change is durable when made.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::{Value, json};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::state::{Member, Migration, State};
use crate::log;

const STATE: TableDefinition<&str, &[u8]> = TableDefinition::new("state");
const STAMPS: TableDefinition<&str, u64> = TableDefinition::new("stamps");
const KEY: &str = "current";

/// The state cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum StateError {
    /// The database failed.
    #[error("router state: {0}")]
    Redb(#[from] redb::Error),
    /// What is stored was not written by this version.
    #[error("router state: not understood: {0}")]
    Format(#[from] serde_json::Error),
}

fn redb_error(error: impl Into<redb::Error>) -> StateError {
    StateError::Redb(error.into())
}

/// The router's database.
pub(crate) struct StateStore {
    database: Database,
    current: Mutex<State>,
}

impl StateStore {
    /// Opens or makes the database in a directory.
    pub(crate) fn open(directory: &Path) -> Result<Self, StateError> {
        let database = Database::create(directory.join("router.redb")).map_err(redb_error)?;
        let txn = database.begin_write().map_err(redb_error)?;
        txn.open_table(STATE).map_err(redb_error)?;
        txn.open_table(STAMPS).map_err(redb_error)?;
        txn.commit().map_err(redb_error)?;
        let txn = database.begin_read().map_err(redb_error)?;
        let stored = txn
            .open_table(STATE)
            .map_err(redb_error)?
            .get(KEY)
            .map_err(redb_error)?;
        let current = match stored {
            Some(bytes) => serde_json::from_slice(bytes.value())?,
            None => State::default(),
        };
        Ok(StateStore {
            database,
            current: Mutex::new(current),
        })
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state; the change is visible once it is durable, and not at all if that fails.
    pub(crate) fn update<T>(&self, f: impl FnOnce(&mut State) -> T) -> Result<T, StateError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = current.clone();
        let result = f(&mut next);
        let bytes = serde_json::to_vec(&next)?;
        let txn = self.database.begin_write().map_err(redb_error)?;
        txn.open_table(STATE)
            .map_err(redb_error)?
            .insert(KEY, bytes.as_slice())
            .map_err(redb_error)?;
        txn.commit().map_err(redb_error)?;
        *current = next;
        Ok(result)
    }

    /// A migration.
    pub(crate) fn migration(&self, id: u64) -> Option<Migration> {
        self.read(|s| s.migrations.iter().find(|m| m.id == id).cloned())
    }

    /// Topology and migrations, with a hash. Restarts alone do not change it.
    pub(crate) fn digest(&self) -> Value {
        let state = self.read(|s| {
            let nodes: Vec<_> = s.nodes.iter().map(Member::shown).collect();
            json!({"groups": s.groups, "nodes": nodes, "owners": s.owners, "former": s.former, "migrations": s.migrations})
        });
        let mut sorted = state.clone();
        sorted.sort_all_objects();
        json!({"hash": format!("{:016x}", xxh3_64(sorted.to_string().as_bytes())), "state": state})
    }

    /// Stamps below this may have been handed out.
    pub(crate) fn reserved_stamps(&self) -> u64 {
        let read = || -> Result<u64, StateError> {
            let txn = self.database.begin_read().map_err(redb_error)?;
            let stored = txn
                .open_table(STAMPS)
                .map_err(redb_error)?
                .get(KEY)
                .map_err(redb_error)?;
            Ok(stored.map_or(0, |v| v.value()))
        };
        read().unwrap_or_else(|e| fatal(&e))
    }

    /// Reserves stamps durably.
    pub(crate) fn reserve_stamps(&self, until: u64) {
        let write = || -> Result<(), StateError> {
            let txn = self.database.begin_write().map_err(redb_error)?;
            txn.open_table(STAMPS)
                .map_err(redb_error)?
                .insert(KEY, until)
                .map_err(redb_error)?;
            txn.commit().map_err(redb_error)
        };
        write().unwrap_or_else(|e| fatal(&e))
    }
}

/// Without its state the router must not go on: a stamp handed out twice could undo an acknowledged write.
fn fatal<T>(error: &StateError) -> T {
    log::event("fatal", &[("message", json!(error.to_string()))]);
    std::process::exit(1)
}
