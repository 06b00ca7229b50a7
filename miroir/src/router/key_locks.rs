//! Order among writes to the same document: merges must reach the owners in the order of their stamps.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use xxhash_rust::xxh3::xxh3_64;

/// Locks; keys share them by hash.
const STRIPES: u64 = 8192;

/// One lock per stripe of keys.
pub(crate) struct KeyLocks(Vec<Arc<Mutex<()>>>);

impl KeyLocks {
    /// All open.
    pub(crate) fn new() -> Self {
        KeyLocks((0..STRIPES).map(|_| Arc::default()).collect())
    }

    /// Waits for all keys; taken in a fixed order, so that batches cannot block each other for ever.
    pub(crate) async fn lock(&self, ids: impl Iterator<Item = &str>) -> Vec<OwnedMutexGuard<()>> {
        let mut stripes: Vec<usize> = ids
            .map(|id| usize::try_from(xxh3_64(id.as_bytes()) % STRIPES).expect("a small remainder"))
            .collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(Arc::clone(&self.0[stripe]).lock_owned().await);
        }
        guards
    }
}
