//! Removes tombstones whose grace period is over.

use std::sync::Arc;
use std::time::Duration;

use super::apply::Op;
use super::record::Body;
use super::store::{Snapshot, Store, StoreError, redb_error};
use super::writer::{Write, Writer};
use crate::log;

/// Tombstones removed in one go.
const BATCH: usize = 10_000;

/// Looks for expired tombstones ten times per grace period, at least hourly and at most once a second.
pub(crate) async fn run(store: Arc<Store>, writer: Writer, grace: Duration) {
    let pause = (grace / 10).clamp(Duration::from_secs(1), Duration::from_secs(3600));
    loop {
        tokio::time::sleep(pause).await;
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let before_ms = log::wall_ms().saturating_sub(grace_ms);
        let store = Arc::clone(&store);
        let found =
            tokio::task::spawn_blocking(move || expired(&store.snapshot()?, before_ms)).await;
        let Ok(Ok(found)) = found else {
            log::warn("looking for expired tombstones failed");
            continue;
        };
        for (index, ids) in found {
            let ops = ids
                .into_iter()
                .map(|id| Op::Purge { id, before_ms })
                .collect();
            if writer
                .write(Write {
                    index,
                    ops,
                    fencing: None,
                    want_documents: false,
                })
                .await
                .is_err()
            {
                log::warn("removing expired tombstones failed");
            }
        }
    }
}

/// Expired tombstones by index.
fn expired(snapshot: &Snapshot, before_ms: u64) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let mut count = 0;
    let records = snapshot.records()?;
    for row in records.range::<(&str, u32, &str)>(..).map_err(redb_error)? {
        let (key, value) = row.map_err(redb_error)?;
        let (index, _, id) = key.value();
        let record = super::read::decode(id, value.value())?;
        if !matches!(record.body, Body::Deleted(at) if at < before_ms) {
            continue;
        }
        match found.last_mut() {
            Some((last, ids)) if last == index => ids.push(id.to_owned()),
            _ => found.push((index.to_owned(), vec![id.to_owned()])),
        }
        count += 1;
        if count == BATCH {
            break;
        }
    }
    Ok(found)
}
