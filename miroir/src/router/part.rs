//! The part of a write that goes to one set of nodes: owners in all groups, and NEW while the shards are moving.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::key_locks::KeyGuard;
use super::table::{Class, Route};
use super::underway::{Entry, Guard};
use super::write::Kind;
use crate::audit::DualWrite;
use crate::peer::{Failure, Peer, Writer};
use crate::wire::batch::{Batch, Stamped};
use crate::wire::document::Document;
use crate::wire::message::{Origin, TaskSummary, Tombstone};

/// How long an acknowledged write waits for the other owners before it is answered as degraded.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// What one target said.
type Answer = Result<TaskSummary, Failure>;

/// The documents of a write that go to the same nodes.
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) batch: Batch,
    pub(crate) route: Arc<Route>,
    /// Number of the class that all items' shards are in.
    pub(crate) class: usize,
}

/// How a part ended.
pub(crate) struct PartEnd {
    pub(crate) acknowledged: bool,
    /// No target applied it.
    pub(crate) certainly_none: bool,
    pub(crate) causes: Vec<String>,
    /// Owners, as `group/node`, that have not acknowledged.
    pub(crate) degraded: Vec<String>,
}

/// A write's place among those under way, its permit, and locks of its keys: dropped when every target of every part
/// has settled.
pub(crate) type Hold = Arc<(Guard, OwnedSemaphorePermit, Option<KeyGuard>)>;

/// A node that a part goes to.
struct Target {
    peer: Arc<Peer>,
    /// Index of its group; `None` for NEW.
    group: Option<usize>,
    answer: Option<Answer>,
}

impl Part {
    fn class(&self) -> &Class {
        self.route.class(self.class)
    }

    /// Sends to all targets; ends when the verdict is certain. What is still open then settles by itself.
    pub(crate) async fn send(self, cluster: &Arc<Cluster>, hold: Hold) -> PartEnd {
        let part = Arc::new(self);
        if let Some(owner) = part.class().sole_owner()
            && part.class().moving.is_none()
        {
            let answer = part.ask_owner(cluster, owner, false, &hold.0.entry).await;
            return end(
                &part,
                &[Target {
                    peer: Arc::clone(owner),
                    group: Some(0),
                    answer: Some(answer),
                }],
            );
        }
        let mut asking = Asking::begin(part, Arc::clone(cluster), hold);
        asking.until_decided().await;
        let end = end(&asking.part, &asking.targets);
        if asking.open.is_empty() && asking.merges_left.is_empty() {
            asking.record();
        } else {
            tokio::spawn(asking.settle());
        }
        end
    }

    /// One request to an owner. Writes to the same document go one after the other, so an owner that holds something
    /// newer was written to by a router with a faster clock: that must not pass for an acknowledgement.
    async fn ask_owner(
        &self,
        cluster: &Cluster,
        owner: &Peer,
        want: bool,
        entry: &Entry,
    ) -> Answer {
        let task = self.ask(cluster, owner, want, entry).await?;
        #[cfg(feature = "planted-bugs")]
        if crate::planted::planted(crate::planted::Bug::WallClock) {
            return Ok(task);
        }
        if task.ignored == 0 {
            return Ok(task);
        }
        cluster.hlc.observe(task.stamp.unwrap_or(0));
        Err(Failure {
            certain: task.ignored == self.batch.items.len() as u64,
            cause: "newer_version".to_owned(),
        })
    }

    /// One request to one node. It is given up when the write is marked failed.
    async fn ask(&self, cluster: &Cluster, peer: &Peer, want: bool, entry: &Entry) -> Answer {
        let index = &cluster.config.index;
        let writer = Writer {
            term: self.route.term,
            origin: Origin::Client,
        };
        let call = async {
            let answer = match self.kind {
                #[cfg(feature = "planted-bugs")]
                Kind::Delete if self.is_deleted_without_trace() => {
                    peer.erase(index, self.tombstones(), writer).await
                }
                Kind::Delete => peer.bury(index, self.tombstones(), writer).await,
                Kind::Replace => peer.replace(index, &self.batch, writer).await,
                Kind::Merge => {
                    let body = self.batch.json();
                    peer.write(index, Method::PUT, body, writer, want).await
                }
            };
            answer.map_err(|e| e.failure())
        };
        tokio::select! {
            answer = call => answer,
            () = entry.given_up() => Err(unknown("abandoned")),
        }
    }

    fn tombstones(&self) -> Vec<Tombstone> {
        let buried = |item: &Stamped| Tombstone {
            id: item.id.clone(),
            stamp: item.stamp,
            shard: Some(item.shard),
        };
        self.batch.items.iter().map(buried).collect()
    }

    /// The planted bug: deletes during the dual write go to OLD only, and leave no tombstone there.
    #[cfg(feature = "planted-bugs")]
    fn is_deleted_without_trace(&self) -> bool {
        self.class().moving.is_some()
            && crate::planted::planted(crate::planted::Bug::DeleteNotToNew)
    }
}

/// The requests of one part.
struct Asking {
    part: Arc<Part>,
    cluster: Arc<Cluster>,
    hold: Hold,
    targets: Vec<Target>,
    open: JoinSet<(usize, Answer)>,
    /// NEW's requests that wait for the merged documents from OLD.
    merges_left: Vec<usize>,
}

impl Asking {
    fn begin(part: Arc<Part>, cluster: Arc<Cluster>, hold: Hold) -> Self {
        let class = part.class();
        let owners = class
            .groups
            .iter()
            .zip(0..)
            .flat_map(|(g, n)| g.nodes.iter().map(move |peer| (peer, Some(n))));
        let new = class
            .moving
            .iter()
            .flat_map(|m| m.to.iter().map(|p| (p, None)));
        let targets: Vec<Target> = owners
            .chain(new)
            .map(|(peer, group)| Target {
                peer: Arc::clone(peer),
                group,
                answer: None,
            })
            .collect();
        let mut asking = Asking {
            part,
            cluster,
            hold,
            targets,
            open: JoinSet::new(),
            merges_left: Vec::new(),
        };
        // A merge must not be repeated by NEW on what it happens to hold: NEW gets the merged documents, after OLD.
        let sequential = asking.part.kind == Kind::Merge;
        for n in 0..asking.targets.len() {
            let is_new = asking.targets[n].group.is_none();
            #[cfg(feature = "planted-bugs")]
            if is_new && asking.part.kind == Kind::Delete && asking.part.is_deleted_without_trace()
            {
                asking.targets[n].answer = Some(Err(not_sent()));
                continue;
            }
            if is_new && sequential {
                asking.merges_left.push(n);
            } else {
                asking.ask(n, sequential);
            }
        }
        asking
    }

    fn ask(&mut self, n: usize, want: bool) {
        let (part, cluster) = (Arc::clone(&self.part), Arc::clone(&self.cluster));
        let is_new = self.targets[n].group.is_none();
        let (peer, hold) = (Arc::clone(&self.targets[n].peer), Arc::clone(&self.hold));
        self.open.spawn(async move {
            let entry = &hold.0.entry;
            let answer = if is_new {
                part.ask(&cluster, &peer, want, entry).await
            } else {
                part.ask_owner(&cluster, &peer, want, entry).await
            };
            (n, answer)
        });
    }

    /// Waits until the verdict is certain: acknowledged, and the other owners settled or late; or all settled.
    async fn until_decided(&mut self) {
        let mut late_at: Option<Instant> = None;
        loop {
            if acknowledged(self.part.class(), &self.targets) {
                let owners_settled = self
                    .targets
                    .iter()
                    .all(|t| t.group.is_none() || t.answer.is_some());
                if owners_settled {
                    return;
                }
                let late_at = *late_at.get_or_insert_with(|| Instant::now() + STRAGGLERS);
                match timeout_at(late_at, self.next()).await {
                    Ok(true) => {}
                    Ok(false) | Err(_) => return,
                }
            } else if !self.next().await {
                return;
            }
        }
    }

    /// Takes the next answer; false if there is none to come.
    async fn next(&mut self) -> bool {
        loop {
            match self.open.join_next().await {
                Some(Ok((n, answer))) => {
                    self.targets[n].answer = Some(answer);
                    return true;
                }
                Some(Err(_)) => {}
                None if self.merges_left.is_empty() => return false,
                None => self.send_merged(),
            }
        }
    }

    /// Sends NEW what OLD has made of a merge.
    fn send_merged(&mut self) {
        let merged = self.targets.iter().find_map(|t| match &t.answer {
            Some(Ok(task)) => Some(encode(&task.documents.iter().flatten().collect::<Vec<_>>())),
            _ => None,
        });
        for n in std::mem::take(&mut self.merges_left) {
            let Some(body) = merged.clone() else {
                self.targets[n].answer = Some(Err(not_sent()));
                continue;
            };
            let (cluster, hold) = (Arc::clone(&self.cluster), Arc::clone(&self.hold));
            let (peer, term) = (Arc::clone(&self.targets[n].peer), self.part.route.term);
            self.open.spawn(async move {
                let writer = Writer {
                    term,
                    origin: Origin::Client,
                };
                let index = &cluster.config.index;
                let answer = tokio::select! {
                    answer = peer.write(index, Method::POST, body, writer, false) => answer.map_err(|e| e.failure()),
                    () = hold.0.entry.given_up() => Err(unknown("abandoned")),
                };
                (n, answer)
            });
        }
    }

    /// Waits for what is still open.
    async fn settle(mut self) {
        while self.next().await {}
        self.record();
    }

    /// Records what became of a dual write, with every target settled.
    fn record(self) {
        let Some(moving) = &self.part.class().moving else {
            return;
        };
        let of = |new: bool| {
            self.targets
                .iter()
                .filter(move |t| t.group.is_none() == new)
        };
        let ok = |t: &Target| matches!(t.answer, Some(Ok(_)));
        let new_ok = of(true).all(ok);
        #[cfg(feature = "planted-bugs")]
        if !new_ok {
            self.cluster.remember_failed(
                self.part
                    .batch
                    .items
                    .iter()
                    .map(|i| (i.shard, i.id.clone())),
            );
        }
        if !self.cluster.audit.is_on() {
            return;
        }
        let failure = |new: bool| of(new).find_map(failure_of);
        let (old_failure, new_failure) = (failure(false), failure(true));
        let first = of(false).find_map(|t| t.answer.as_ref()?.as_ref().ok());
        let old_ok = acknowledged(self.part.class(), &self.targets);
        for (n, item) in self.part.batch.items.iter().enumerate() {
            self.cluster.audit.dual_write(&DualWrite {
                migration: moving.migration,
                id: item.id.clone(),
                shard: item.shard,
                stamp: item.stamp,
                old_ok,
                old_seq: first.and_then(|t| t.seq),
                old_had: first.and_then(|t| t.had.get(n).copied()).unwrap_or(false),
                old_certain: old_failure.as_ref().is_none_or(|f| f.certain),
                old_failure: old_failure.as_ref().map(|f| f.cause.clone()),
                new_ok,
                new_certain: new_failure.as_ref().is_none_or(|f| f.certain),
                new_failure: new_failure.as_ref().map(|f| f.cause.clone()),
                delete: self.part.kind == Kind::Delete,
            });
        }
    }
}

/// Whether a quorum of some group has it.
fn acknowledged(class: &Class, targets: &[Target]) -> bool {
    class.groups.iter().zip(0..).any(|(group, n)| {
        let acks = targets
            .iter()
            .filter(|t| t.group == Some(n) && matches!(t.answer, Some(Ok(_))))
            .count();
        acks >= group.quorum
    })
}

fn failure_of(target: &Target) -> Option<Failure> {
    match &target.answer {
        Some(Ok(_)) => None,
        Some(Err(failure)) => Some(failure.clone()),
        None => Some(unknown("internal")),
    }
}

fn end(part: &Part, targets: &[Target]) -> PartEnd {
    let class = part.class();
    let mut end = PartEnd {
        acknowledged: acknowledged(class, targets),
        certainly_none: true,
        causes: Vec::new(),
        degraded: Vec::new(),
    };
    for target in targets {
        let failure = failure_of(target);
        end.certainly_none &= failure.as_ref().is_some_and(|f| f.certain);
        if let (Some(group), Some(failure)) = (target.group, failure) {
            let name = &target.peer.name;
            end.causes.push(format!("{name}: {}", failure.cause));
            end.degraded
                .push(format!("{}/{name}", class.groups[group].group));
        }
    }
    end
}

fn not_sent() -> Failure {
    Failure {
        certain: true,
        cause: "not_sent".to_owned(),
    }
}

fn unknown(cause: &str) -> Failure {
    Failure {
        certain: false,
        cause: cause.to_owned(),
    }
}

fn encode(documents: &[&Document]) -> Bytes {
    Bytes::from(serde_json::to_vec(documents).expect("documents have string keys only"))
}
