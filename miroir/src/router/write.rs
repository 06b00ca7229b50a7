//! Client writes: admission, order, stamps, and the verdict over all parts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::key_locks::KeyGuard;
use super::part::{Hold, Part, PartEnd};
use super::read;
use super::table::{Admission, Route};
use super::underway::{About, Entry, Guard};
use crate::routing::shard_of;
use crate::wire::batch::{Batch, Stamped};
use crate::wire::canonical::Canonical;
use crate::wire::document::{Document, is_expired};
use crate::wire::error::{ApiError, Outcome};
use crate::wire::stamp::millis_of;

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
    pub(crate) document: Canonical,
}

/// A write that was acknowledged.
#[derive(Debug)]
pub(crate) struct Written {
    /// Stamp of its last document.
    pub(crate) stamp: u64,
    /// Owners, as `group/node`, that have not acknowledged (yet).
    pub(crate) degraded: BTreeSet<String>,
}

/// Carries out a write. The work goes on if the client leaves.
pub(crate) async fn write(
    cluster: &Arc<Cluster>,
    kind: Kind,
    items: Vec<Item>,
) -> Result<Written, ApiError> {
    cluster
        .check_serving()
        .map_err(|e| e.with_outcome(Outcome::None))?;
    let Ok(permit) = Arc::clone(&cluster.permits).try_acquire_owned() else {
        return Err(ApiError::too_many("too many writes are under way").with_outcome(Outcome::None));
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
) -> Result<Written, ApiError> {
    let shards: Vec<u32> = items
        .iter()
        .map(|i| shard_of(&i.id, cluster.config.shards))
        .collect();
    let (locks, route, guard) = admit(&cluster, kind, &items, &shards).await?;
    let mut last = 0;
    let mut classes: BTreeMap<usize, Vec<Stamped>> = BTreeMap::new();
    for (item, shard) in items.into_iter().zip(shards) {
        last = cluster.hlc.next(&cluster.state);
        classes
            .entry(route.class_of(shard))
            .or_default()
            .push(Stamped {
                id: item.id,
                shard,
                stamp: last,
                document: item.document,
            });
    }
    let mut parts = Vec::with_capacity(classes.len());
    for (class, mut items) in classes {
        let mut sent_as = kind;
        // Owners that merged by themselves could differ for ever after one of them missed a merge.
        if kind == Kind::Merge && route.class(class).sole_owner().is_none() {
            items = merged(&cluster, &route, class, items)
                .await
                .map_err(|e| e.with_outcome(Outcome::None))?;
            sent_as = Kind::Replace;
        }
        parts.push(Part {
            kind: sent_as,
            batch: Batch::new(items),
            route: Arc::clone(&route),
            class,
        });
    }
    let entry = Arc::clone(&guard.entry);
    // A target that does not compare stamps must not be sent the next write of a key before it has settled this one.
    let unordered = parts.iter().any(|p| !route.class(p.class).keeps_order());
    let (held, locks) = if unordered {
        (Some(locks), None)
    } else {
        (None, Some(locks))
    };
    // Held until every target of every part has settled.
    let hold = Arc::new((guard, permit, held));
    let ends = match parts.pop() {
        Some(only) if parts.is_empty() => vec![only.send(&cluster, hold).await],
        other => {
            parts.extend(other);
            send_all(parts, &cluster, hold).await
        }
    };
    drop(locks);
    verdict(ends, last, &entry)
}

async fn merged(
    cluster: &Cluster,
    route: &Route,
    class: usize,
    items: Vec<Stamped>,
) -> Result<Vec<Stamped>, ApiError> {
    let ids: Vec<String> = items.iter().map(|i| i.id.clone()).collect();
    let read = read::class(cluster, route.class(class), &ids).await?;
    let mut known: HashMap<String, Document> = read
        .found
        .into_iter()
        .filter_map(|(id, (_, document))| Some((id, document?)))
        .collect();
    let merge = |mut item: Stamped| {
        let before = known.remove(&item.id);
        let mut whole = before
            .filter(|d| !is_expired(d, millis_of(item.stamp)))
            .unwrap_or_default();
        whole.extend(item.document.document());
        item.document = whole.clone().into();
        known.insert(item.id.clone(), whole);
        item
    };
    Ok(items.into_iter().map(merge).collect())
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
            degraded: Vec::new(),
        }));
    }
    ends
}

type Admitted = (KeyGuard, Arc<Route>, Guard);

/// Waits for earlier writes of the same documents, and for a cutover of their shards to pass.
async fn admit(
    cluster: &Cluster,
    kind: Kind,
    items: &[Item],
    shards: &[u32],
) -> Result<Admitted, ApiError> {
    let mut changes = cluster.table.changes();
    let mut held_since = None;
    let mut distinct = shards.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let about = About {
        kind: kind.name(),
        documents: items.len(),
        first: items.first().map(|i| i.id.clone()).unwrap_or_default(),
    };
    loop {
        changes.borrow_and_update();
        let locks = cluster
            .locks
            .lock(items.iter().map(|i| i.id.as_str()))
            .await;
        if let Admission::Go(route, guard) = cluster.table.admit(&distinct, &about) {
            if let Some(since) = held_since {
                cluster.waits.record(Instant::now() - since);
            }
            return Ok((locks, route, guard));
        }
        drop(locks);
        cluster
            .check_serving()
            .map_err(|e| e.with_outcome(Outcome::None))?;
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

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Replace => "replace",
            Kind::Merge => "merge",
            Kind::Delete => "delete",
        }
    }
}

fn verdict(ends: Vec<PartEnd>, stamp: u64, entry: &Entry) -> Result<Written, ApiError> {
    if ends.iter().all(|e| e.acknowledged) {
        if entry.acknowledge() {
            let degraded = ends.into_iter().flat_map(|e| e.degraded).collect();
            return Ok(Written { stamp, degraded });
        }
        return Err(ApiError::unavailable(
            "write_failed",
            format!("write {} was marked failed by an operator", entry.id()),
        )
        .with_outcome(Outcome::Unknown));
    }
    let outcome = if ends.iter().all(|e| e.certainly_none) {
        Outcome::None
    } else {
        Outcome::Unknown
    };
    let causes: Vec<String> = ends.into_iter().flat_map(|e| e.causes).collect();
    let message = format!(
        "the write was not acknowledged by a quorum of any group of its owners: {}",
        causes.join(", ")
    );
    Err(ApiError::unavailable("write_failed", message).with_outcome(outcome))
}
