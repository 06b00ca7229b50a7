//! The part of a write that goes to one set of nodes: owners, and NEW while the shard is moving.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::Method;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

use super::cluster::Cluster;
use super::inflight::Guard;
use super::table::Route;
use super::write::Kind;
use crate::audit::DualWrite;
use crate::peer::{Failure, Peer, Writer};
use crate::wire::document::Document;
use crate::wire::message::{Origin, TaskSummary, Tombstone};

/// One document, stamped.
pub(crate) struct Stamped {
    pub(crate) id: String,
    pub(crate) shard: u32,
    pub(crate) stamp: u64,
    pub(crate) document: Document,
}

/// What one target said.
type Answer = Result<TaskSummary, Failure>;

/// The documents of a write that go to the same nodes.
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) items: Vec<Stamped>,
    pub(crate) route: Arc<Route>,
}

/// How a part ended.
pub(crate) struct PartEnd {
    pub(crate) acknowledged: bool,
    /// No target applied it.
    pub(crate) certainly_none: bool,
    pub(crate) causes: Vec<String>,
}

/// A write's place in the counts, its permit, and locks of its keys: dropped when every target of every part has settled.
pub(crate) type Hold = Arc<(Guard, OwnedSemaphorePermit, Vec<OwnedMutexGuard<()>>)>;

impl Part {
    /// Sends to all targets; ends when the owners have settled, and NEW too if they failed.
    pub(crate) async fn send(self, cluster: &Arc<Cluster>, hold: Hold) -> PartEnd {
        let shard = self.items[0].shard;
        let moving = self
            .route
            .moving(shard)
            .map(|m| (m.migration, Arc::clone(&m.to)));
        let owners = self.route.owners[shard as usize].clone();
        let writer = Writer {
            epoch: cluster.epoch,
            term: self.route.term,
            origin: Origin::Client,
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
            return vec![self.ask_owner(cluster, owner, body, writer, want).await];
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
                tokio::spawn(
                    async move { part.ask_owner(&cluster, &owner, &body, writer, want).await },
                )
            })
            .collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(task.await.unwrap_or_else(|_| Err(unknown("internal"))));
        }
        answers
    }

    /// One request to an owner. Writes to the same document go one after the other, so an owner that holds something
    /// newer was written to by a router with a faster clock: that must not pass for an acknowledgement.
    async fn ask_owner(
        &self,
        cluster: &Cluster,
        owner: &Peer,
        body: &Bytes,
        writer: Writer,
        want: bool,
    ) -> Answer {
        let task = self.ask(cluster, owner, body, writer, want).await?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::planted(crate::planted::Bug::WallClock) {
            return Ok(task);
        }
        if task.ignored == 0 {
            return Ok(task);
        }
        cluster.hlc.observe(task.stamp.unwrap_or(0));
        Err(Failure {
            certain: task.ignored == self.items.len() as u64,
            cause: "newer_version".to_owned(),
        })
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
    hold: Hold,
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
