//! What is due to go: tombstones that every replica holds, and documents whose life has ended.

use super::store::{Snapshot, StoreError, redb_error};
use crate::wire::message::PurgeRequest;

/// Keys named in one go, so that no transaction grows without bound.
pub(crate) const BATCH: usize = 5_000;

/// Tombstones of a shard that may be forgotten.
pub(crate) fn tombstones(
    snapshot: &Snapshot,
    index: &str,
    request: PurgeRequest,
) -> Result<Vec<String>, StoreError> {
    let mut due = Vec::new();
    let records = snapshot.records()?;
    let shard = request.shard;
    for row in records
        .range((index, shard, "")..(index, shard.saturating_add(1), ""))
        .map_err(redb_error)?
    {
        let (key, value) = row.map_err(redb_error)?;
        let id = key.value().2;
        if super::read::decode(id, value.value())?.is_due(request.below) {
            due.push(id.to_owned());
            if due.len() == BATCH {
                break;
            }
        }
    }
    Ok(due)
}

/// Documents that have expired by a time.
pub(crate) fn expired(
    snapshot: &Snapshot,
    index: &str,
    now_ms: u64,
) -> Result<Vec<String>, StoreError> {
    let mut due = Vec::new();
    let expiries = snapshot.expiries()?;
    let range = (index, 0, "")..(index, now_ms.saturating_add(1), "");
    for row in expiries.range(range).map_err(redb_error)?.take(BATCH) {
        due.push(row.map_err(redb_error)?.0.value().2.to_owned());
    }
    Ok(due)
}
