//! How far each moving shard has come; for the operator only, not persisted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// A moving shard.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ShardProgress {
    /// `pending`, `migrating`, `migration_complete`, `draining`, `delta_pass`, `active` or `failed`.
    pub(crate) state: &'static str,
    /// Documents copied in the background.
    pub(crate) copied: u64,
    /// Pages left to copy, by the document count OLD reported.
    pub(crate) pages_left: u64,
    /// Records copied by the delta pass.
    pub(crate) delta: u64,
}

/// All moving shards.
#[derive(Default)]
pub(crate) struct Progress(Mutex<BTreeMap<u32, ShardProgress>>);

impl Progress {
    /// Starts over with these shards in a state.
    pub(crate) fn reset(&self, shards: &[u32], state: &'static str) {
        let fresh = shards.iter().map(|&s| {
            (
                s,
                ShardProgress {
                    state,
                    ..ShardProgress::default()
                },
            )
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fresh.collect();
    }

    /// Puts all shards into a state.
    pub(crate) fn all(&self, state: &'static str) {
        for shard in self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values_mut()
        {
            shard.state = state;
        }
    }

    /// Changes one shard.
    pub(crate) fn update(&self, shard: u32, f: impl FnOnce(&mut ShardProgress)) {
        f(self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(shard)
            .or_default());
    }

    /// A copy.
    pub(crate) fn snapshot(&self) -> BTreeMap<u32, ShardProgress> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
