//! Client writes: admission, stamping, sending to owners and, for moving shards, to NEW; counting acknowledgements.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::inflight::Guard;
use super::table::{Admission, Route};
use crate::audit::DualWrite;
use crate::peer::{Failure, Peer, Writer};
use crate::routing::shard_of;
use crate::wire::document::{Document, SHARD, STAMP};
use crate::wire::error::{ApiError, Outcome};
use crate::wire::message::{TaskSummary, Tombstone};

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

/// One document, stamped.
struct Stamped {
    id: String,
    shard: u32,
    stamp: u64,
    document: Document,
}

/// What one target said.
type Answer = Result<TaskSummary, Failure>;

/// The documents of a write that go to the same nodes.
struct Part {
    kind: Kind,
    items: Vec<Stamped>,
    route: Arc<Route>,
}

/// How a part ended.
struct PartEnd {
    acknowledged: bool,
    /// No target applied it.
    certainly_none: bool,
    causes: Vec<String>,
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
    // Held until every target of every part has settled.
    let hold = Arc::new((guard, permit));
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

async fn send_all(
    parts: Vec<Part>,
    cluster: &Arc<Cluster>,
    hold: Arc<(Guard, OwnedSemaphorePermit)>,
) -> Vec<PartEnd> {
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

impl Part {
    /// Sends to all targets; ends when the owners have settled, and NEW too if they failed.
    async fn send(
        self,
        cluster: &Arc<Cluster>,
        hold: Arc<(Guard, OwnedSemaphorePermit)>,
    ) -> PartEnd {
        let shard = self.items[0].shard;
        let moving = self
            .route
            .moving(shard)
            .map(|m| (m.migration, Arc::clone(&m.to)));
        let owners = self.route.owners[shard as usize].clone();
        let writer = Writer {
            epoch: cluster.epoch,
            term: self.route.term,
            anti_entropy: false,
        };
        let part = Arc::new(self);
        let body = part.body();
        let Some((migration, to)) = moving else {
            let answers = part
                .ask_owners(cluster, &owners, &body, writer, false)
                .await;
            return end(cluster, &owners, &answers, None);
        };
        // A merge must not be repeated by NEW on what it happens to hold: NEW gets the merged documents, after OLD.
        let sequential = part.kind == Kind::Merge;
        let early = (!sequential).then(|| {
            let (part, cluster, to, body) = (
                Arc::clone(&part),
                Arc::clone(cluster),
                Arc::clone(&to),
                body.clone(),
            );
            tokio::spawn(async move { part.ask(&cluster, &to, &body, writer, false).await })
        });
        let answers = part
            .ask_owners(cluster, &owners, &body, writer, sequential)
            .await;
        let acknowledged = answers.iter().filter(|a| a.is_ok()).count() >= cluster.quorum();
        let settled = settle_new(
            Arc::clone(&part),
            Arc::clone(cluster),
            to,
            migration,
            answers.clone(),
            early,
            writer,
            hold,
        );
        if acknowledged {
            tokio::spawn(settled);
            return end(cluster, &owners, &answers, None);
        }
        let new = settled.await;
        end(cluster, &owners, &answers, Some(&new))
    }

    fn body(&self) -> Bytes {
        if self.kind == Kind::Delete {
            return Bytes::new();
        }
        let documents: Vec<&Document> = self.items.iter().map(|i| &i.document).collect();
        Bytes::from(serde_json::to_vec(&documents).expect("documents have string keys only"))
    }

    async fn ask_owners(
        self: &Arc<Self>,
        cluster: &Arc<Cluster>,
        owners: &[Arc<Peer>],
        body: &Bytes,
        writer: Writer,
        want: bool,
    ) -> Vec<Answer> {
        if let [owner] = owners {
            return vec![self.ask(cluster, owner, body, writer, want).await];
        }
        let tasks: Vec<_> = owners
            .iter()
            .map(|owner| {
                let (part, cluster, owner, body) = (
                    Arc::clone(self),
                    Arc::clone(cluster),
                    Arc::clone(owner),
                    body.clone(),
                );
                tokio::spawn(async move { part.ask(&cluster, &owner, &body, writer, want).await })
            })
            .collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(task.await.unwrap_or_else(|_| Err(unknown("internal"))));
        }
        answers
    }

    /// One request to one node. A drain that has run out of time gives up on it.
    async fn ask(
        &self,
        cluster: &Cluster,
        peer: &Peer,
        body: &Bytes,
        writer: Writer,
        want: bool,
    ) -> Answer {
        let index = &cluster.config.index;
        let call = async {
            match self.kind {
                Kind::Replace => {
                    peer.write(index, Method::POST, body.clone(), writer, want)
                        .await
                }
                Kind::Merge => {
                    peer.write(index, Method::PUT, body.clone(), writer, want)
                        .await
                }
                Kind::Delete => peer.bury(index, self.tombstones(), writer).await,
            }
            .map_err(|e| e.failure())
        };
        if self.route.moving(self.items[0].shard).is_none() {
            return call.await;
        }
        tokio::select! {
            answer = call => answer,
            () = cluster.table.abandon.notified() => Err(unknown("abandoned")),
        }
    }

    fn tombstones(&self) -> Vec<Tombstone> {
        self.items
            .iter()
            .map(|i| Tombstone {
                id: i.id.clone(),
                stamp: i.stamp,
                shard: Some(i.shard),
            })
            .collect()
    }
}

/// Waits for NEW (sends to it first, for merges), and records the dual write.
#[expect(
    clippy::too_many_arguments,
    reason = "the pieces of one write, moved into its own task"
)]
async fn settle_new(
    part: Arc<Part>,
    cluster: Arc<Cluster>,
    to: Arc<Peer>,
    migration: u64,
    old: Vec<Answer>,
    early: Option<tokio::task::JoinHandle<Answer>>,
    writer: Writer,
    hold: Arc<(Guard, OwnedSemaphorePermit)>,
) -> Answer {
    let new = match early {
        Some(task) => task.await.unwrap_or_else(|_| Err(unknown("internal"))),
        None => match old.iter().find_map(|a| a.as_ref().ok()) {
            Some(merged) => part.copy_merged(&cluster, &to, merged, writer).await,
            None => Err(Failure {
                certain: true,
                cause: "not_sent".to_owned(),
            }),
        },
    };
    #[cfg(feature = "planted-bugs")]
    if new.is_err() {
        let mut failed = cluster
            .failed_on_new
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.extend(part.items.iter().map(|i| (i.shard, i.id.clone())));
    }
    if cluster.audit.is_on() {
        let acknowledged = old.iter().filter(|a| a.is_ok()).count() >= cluster.quorum();
        let first = old.iter().find_map(|a| a.as_ref().ok());
        let failure = old.iter().find_map(|a| a.as_ref().err());
        for (n, item) in part.items.iter().enumerate() {
            cluster.audit.dual_write(&DualWrite {
                migration,
                id: item.id.clone(),
                shard: item.shard,
                stamp: item.stamp,
                old_ok: acknowledged,
                old_seq: first.and_then(|t| t.seq),
                old_had: first.and_then(|t| t.had.get(n).copied()).unwrap_or(false),
                old_failure: failure.map(|f| f.cause.clone()),
                old_certain: failure.is_none_or(|f| f.certain),
                new_ok: new.is_ok(),
                new_failure: new.as_ref().err().map(|f| f.cause.clone()),
                new_certain: new.as_ref().err().is_none_or(|f| f.certain),
                delete: part.kind == Kind::Delete,
            });
        }
    }
    drop(hold);
    new
}

impl Part {
    async fn copy_merged(
        &self,
        cluster: &Cluster,
        to: &Peer,
        merged: &TaskSummary,
        writer: Writer,
    ) -> Answer {
        let documents: Vec<&Document> = merged.documents.iter().flatten().collect();
        let body =
            Bytes::from(serde_json::to_vec(&documents).expect("documents have string keys only"));
        tokio::select! {
            answer = to.write(&cluster.config.index, Method::POST, body, writer, false) => answer.map_err(|e| e.failure()),
            () = cluster.table.abandon.notified() => Err(unknown("abandoned")),
        }
    }
}

fn unknown(cause: &str) -> Failure {
    Failure {
        certain: false,
        cause: cause.to_owned(),
    }
}

fn end(
    cluster: &Cluster,
    owners: &[Arc<Peer>],
    answers: &[Answer],
    new: Option<&Answer>,
) -> PartEnd {
    let mut end = PartEnd {
        acknowledged: false,
        certainly_none: true,
        causes: Vec::new(),
    };
    for (owner, answer) in owners.iter().zip(answers) {
        if let Err(failure) = answer {
            end.causes
                .push(format!("{}: {}", owner.name, failure.cause));
        }
    }
    end.acknowledged = answers.iter().filter(|a| a.is_ok()).count() >= cluster.quorum();
    end.certainly_none = answers
        .iter()
        .chain(new)
        .all(|a| a.as_ref().is_err_and(|f| f.certain));
    end
}
