//! How far each moving shard has come: for operators and the log only, not persisted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use crate::log;

/// A moving shard.
#[derive(Debug, Clone)]
pub(crate) struct ShardProgress {
    /// `pending`, `migrating`, `migration_complete`, `draining`, `delta_pass`, `active` or `failed`.
    state: &'static str,
    since: Instant,
    /// Documents copied in the background.
    pub(crate) copied: u64,
    /// Pages left to copy, by the document count OLD reported.
    pub(crate) pages_left: u64,
    /// Records copied by the delta pass.
    pub(crate) delta: u64,
}

impl ShardProgress {
    fn new() -> Self {
        ShardProgress {
            state: "pending",
            since: Instant::now(),
            copied: 0,
            pages_left: 0,
            delta: 0,
        }
    }

    /// As operators see it.
    pub(crate) fn describe(&self) -> Value {
        json!({
            "state": self.state,
            "in_state_ms": u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            "copied": self.copied,
            "pages_left": self.pages_left,
            "delta": self.delta,
        })
    }
}

/// All moving shards by (migration, shard), and the migrations that wait for stuck writes.
#[derive(Default)]
pub(crate) struct Progress {
    shards: Mutex<BTreeMap<(u64, u32), ShardProgress>>,
    stuck: Mutex<BTreeSet<u64>>,
}

impl Progress {
    /// Starts over with these shards.
    pub(crate) fn reset(&self, migration: u64, shards: &[u32]) {
        let mut all = self.lock();
        for &shard in shards {
            all.insert((migration, shard), ShardProgress::new());
        }
    }

    /// Puts shards into a state, and logs that of each.
    pub(crate) fn enter(&self, migration: u64, shards: &[u32], state: &'static str) {
        for &shard in shards {
            self.update(migration, shard, |p| {
                p.state = state;
                p.since = Instant::now();
            });
            log::event(
                "shard",
                &[
                    ("migration", json!(migration)),
                    ("shard", json!(shard)),
                    ("phase", json!(state)),
                ],
            );
        }
    }

    /// Changes one shard.
    pub(crate) fn update(&self, migration: u64, shard: u32, f: impl FnOnce(&mut ShardProgress)) {
        f(self
            .lock()
            .entry((migration, shard))
            .or_insert_with(ShardProgress::new));
    }

    /// One shard, as operators see it; `null` if nothing is known since the last restart.
    pub(crate) fn describe(&self, migration: u64, shard: u32) -> Value {
        self.lock()
            .get(&(migration, shard))
            .map_or(Value::Null, ShardProgress::describe)
    }

    /// Says whether a migration's drain has timed out and still waits.
    pub(crate) fn set_stuck(&self, migration: u64, stuck: bool) {
        let mut all = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if stuck {
            all.insert(migration);
        } else {
            all.remove(&migration);
        }
    }

    /// Whether a migration's drain has timed out and still waits.
    pub(crate) fn is_stuck(&self, migration: u64) -> bool {
        let all = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(&migration)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(u64, u32), ShardProgress>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
