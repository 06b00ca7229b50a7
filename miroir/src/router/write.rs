//! Client writes: admission, order, stamps, and the verdict over all parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::inflight::Guard;
use super::part::{Hold, Part, PartEnd, Stamped};
use super::table::{Admission, Route};
use crate::routing::shard_of;
use crate::wire::document::{Document, SHARD, STAMP};
use crate::wire::error::{ApiError, Outcome};

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// POST.
    Replace,
    /// PUT.
    Merge,
    /// Delete.
    Delete,
}

/// One document of a write.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) id: String,
    /// Empty for deletes.
    pub(crate) document: Document,
}

/// Carries out a write; answers with the stamp of its last document. The work goes on if the client leaves.
pub(crate) async fn write(
    cluster: &Arc<Cluster>,
    kind: Kind,
    items: Vec<Item>,
) -> Result<u64, ApiError> {
    let refused =
        |code, message: &str| ApiError::unavailable(code, message).with_outcome(Outcome::None);
    if !cluster.is_ready() {
        return Err(refused("recovering", "the router is still recovering"));
    }
    let Ok(permit) = Arc::clone(&cluster.permits).try_acquire_owned() else {
        return Err(refused(
            "too_many_requests",
            "too many writes are under way",
        ));
    };
    let cluster = Arc::clone(cluster);
    let work = tokio::spawn(async move { perform(cluster, kind, items, permit).await });
    work.await.unwrap_or_else(|_| {
        Err(ApiError::internal("the write ended abnormally").with_outcome(Outcome::Unknown))
    })
}

async fn perform(
    cluster: Arc<Cluster>,
    kind: Kind,
    items: Vec<Item>,
    permit: OwnedSemaphorePermit,
) -> Result<u64, ApiError> {
    let shards: Vec<u32> = items
        .iter()
        .map(|i| shard_of(&i.id, cluster.config.shards))
        .collect();
    let (locks, route, guard) = admit(&cluster, &items, &shards).await?;
    let mut last = cluster.hlc.next(&cluster.state);
    let mut parts: BTreeMap<(Vec<&str>, bool), Vec<Stamped>> = BTreeMap::new();
    for (item, shard) in items.into_iter().zip(shards) {
        last = cluster.hlc.next(&cluster.state);
        let owners = route.owners[shard as usize]
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        let stamped = stamp(item, shard, last);
        parts
            .entry((owners, route.moving(shard).is_some()))
            .or_default()
            .push(stamped);
    }
    // A target that does not compare stamps must not be sent the next write of a key before it has settled this one.
    let unordered = route.moving.as_ref().is_some_and(|m| !m.to.keeps_order());
    let (held, locks) = if unordered {
        (locks, Vec::new())
    } else {
        (Vec::new(), locks)
    };
    // Held until every target of every part has settled.
    let hold = Arc::new((guard, permit, held));
    let mut parts: Vec<Part> = parts
        .into_values()
        .map(|items| Part {
            kind,
            items,
            route: Arc::clone(&route),
        })
        .collect();
    let ends = match parts.pop() {
        Some(only) if parts.is_empty() => vec![only.send(&cluster, hold).await],
        other => {
            parts.extend(other);
            send_all(parts, &cluster, hold).await
        }
    };
    drop(locks);
    verdict(ends, last)
}

async fn send_all(parts: Vec<Part>, cluster: &Arc<Cluster>, hold: Hold) -> Vec<PartEnd> {
    let mut sending = JoinSet::new();
    for part in parts {
        let (cluster, hold) = (Arc::clone(cluster), Arc::clone(&hold));
        sending.spawn(async move { part.send(&cluster, hold).await });
    }
    let mut ends = Vec::new();
    while let Some(end) = sending.join_next().await {
        ends.push(end.unwrap_or_else(|_| PartEnd {
            acknowledged: false,
            certainly_none: false,
            causes: Vec::new(),
        }));
    }
    ends
}

type Admitted = (Vec<tokio::sync::OwnedMutexGuard<()>>, Arc<Route>, Guard);

/// Waits for earlier writes of the same documents, and for a cutover of their shards to pass.
async fn admit(cluster: &Cluster, items: &[Item], shards: &[u32]) -> Result<Admitted, ApiError> {
    let mut changes = cluster.table.changes();
    let mut held_since = None;
    let mut distinct = shards.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    loop {
        changes.borrow_and_update();
        let locks = cluster
            .locks
            .lock(items.iter().map(|i| i.id.as_str()))
            .await;
        if let Admission::Go(route, guard) = cluster.table.admit(distinct.clone()) {
            if let Some(since) = held_since {
                cluster.waits.record(Instant::now() - since);
            }
            return Ok((locks, route, guard));
        }
        drop(locks);
        let since = *held_since.get_or_insert_with(Instant::now);
        let deadline = since + Duration::from_millis(cluster.config.migration.write_wait_ms);
        if timeout_at(deadline, changes.changed()).await.is_err() {
            cluster.waits.record(Instant::now() - since);
            return Err(ApiError::unavailable(
                "cutover_in_progress",
                "the document's shard is being cut over: try again later",
            )
            .with_outcome(Outcome::None));
        }
    }
}

fn stamp(item: Item, shard: u32, stamp: u64) -> Stamped {
    let Item { id, mut document } = item;
    document.insert(SHARD.to_owned(), Value::from(shard));
    document.insert(STAMP.to_owned(), Value::from(stamp));
    Stamped {
        id,
        shard,
        stamp,
        document,
    }
}

fn verdict(ends: Vec<PartEnd>, last: u64) -> Result<u64, ApiError> {
    if ends.iter().all(|e| e.acknowledged) {
        return Ok(last);
    }
    let outcome = if ends.iter().all(|e| e.certainly_none) {
        Outcome::None
    } else {
        Outcome::Unknown
    };
    let causes: Vec<String> = ends.into_iter().flat_map(|e| e.causes).collect();
    let message = format!(
        "the write was not acknowledged by a quorum of its owners: {}",
        causes.join(", ")
    );
    Err(ApiError::unavailable("write_failed", message).with_outcome(outcome))
}
