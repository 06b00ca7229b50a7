//! The one writer: drains a bounded queue of requests into a transaction, commits durably, then answers them all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use redb::Durability;
use tokio::sync::oneshot;

use super::apply::{Effect, Op, Refusal, Tables};
use super::store::{META_SEQ, META_TASK, Store, StoreError, redb_error};
use crate::log;
use crate::wire::document::Document;
use crate::wire::message::{FenceRequest, Origin};

/// Operations put into one transaction at most, so that none waits long for its neighbours.
const MAX_OPS: usize = 8192;

/// Where a router's write stands in its order of incarnations and routing changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fencing {
    pub(crate) epoch: u64,
    /// 0 if unknown.
    pub(crate) incarnation: u64,
    pub(crate) term: u64,
}

/// A write request.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) index: String,
    pub(crate) ops: Vec<Op>,
    /// Absent for plain Meilisearch clients, who are never fenced.
    pub(crate) fencing: Option<Fencing>,
    /// Whether to answer with the documents as they then are.
    pub(crate) want_documents: bool,
    /// Who makes it.
    pub(crate) origin: Origin,
}

/// A durable write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) seq: u64,
    pub(crate) task: u64,
    /// The highest stamp the node has ever been given.
    pub(crate) stamp: u64,
    pub(crate) effects: Vec<Effect>,
    pub(crate) documents: Vec<Option<Document>>,
}

/// Why a write was not made.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Too many requests wait; nothing was applied.
    QueueFull,
    /// The node is ending; nothing was applied.
    Closed,
    /// Fenced; nothing was applied.
    Refused(Refusal),
    /// The storage failed; nothing is known.
    Storage(String),
}

enum Work {
    Write(Write),
    Fence(FenceRequest),
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Written, WriteError>>,
}

/// The queue's entrance.
#[derive(Clone)]
pub(crate) struct Writer(SyncSender<Job>);

impl Writer {
    /// Queues a write and waits until it is durable.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, WriteError> {
        self.submit(Work::Write(write)).await
    }

    /// Raises fences; when this returns, no older write will be applied any more.
    pub(crate) async fn fence(&self, fence: FenceRequest) -> Result<Written, WriteError> {
        self.submit(Work::Fence(fence)).await
    }

    async fn submit(&self, work: Work) -> Result<Written, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Job { work, reply }).map_err(|e| match e {
            TrySendError::Full(_) => WriteError::QueueFull,
            TrySendError::Disconnected(_) => WriteError::Closed,
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(WriteError::Storage("the writer ended".to_owned())))
    }
}

/// Starts the writer thread; it ends when the last [`Writer`] is dropped.
pub(crate) fn start(
    store: Arc<Store>,
    queue: usize,
    keep_changes: u64,
) -> std::io::Result<(Writer, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(queue);
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || run(&store, &receiver, keep_changes))?;
    Ok((Writer(sender), thread))
}

fn run(store: &Store, queue: &Receiver<Job>, keep_changes: u64) {
    while let Ok(first) = queue.recv() {
        let mut ops = first.ops();
        let mut jobs = vec![first];
        while ops < MAX_OPS
            && let Ok(job) = queue.try_recv()
        {
            ops += job.ops();
            jobs.push(job);
        }
        commit(store, jobs, keep_changes);
    }
}

fn commit(store: &Store, jobs: Vec<Job>, keep_changes: u64) {
    let (work, replies): (Vec<_>, Vec<_>) = jobs.into_iter().map(|j| (j.work, j.reply)).unzip();
    let results = transact(store, work, keep_changes).unwrap_or_else(|e| {
        log::warn(&format!("a commit failed: {e}"));
        replies
            .iter()
            .map(|_| Err(WriteError::Storage(e.to_string())))
            .collect()
    });
    for (reply, result) in replies.into_iter().zip(results) {
        // The client may have gone; its write stays.
        let _ = reply.send(result);
    }
}

fn transact(
    store: &Store,
    work: Vec<Work>,
    keep_changes: u64,
) -> Result<Vec<Result<Written, WriteError>>, StoreError> {
    let mut txn = store.database.begin_write().map_err(redb_error)?;
    txn.set_durability(durability()).map_err(redb_error)?;
    let mut results = Vec::with_capacity(work.len());
    {
        let mut tables = Tables::open(&txn, keep_changes)?;
        let seq = tables.counter(META_SEQ)? + 1;
        let mut task = tables.counter(META_TASK)?;
        for work in work {
            let result = match work {
                Work::Write(write) => perform(&mut tables, write)?,
                Work::Fence(fence) => raise(&mut tables, &fence)?,
            };
            let stamp = tables.highest_stamp();
            results.push(
                result
                    .map(|(effects, documents)| Written {
                        seq,
                        task,
                        stamp,
                        effects,
                        documents,
                    })
                    .map_err(WriteError::Refused),
            );
            task += 1;
        }
        tables.finish()?;
        tables.meta.insert(META_SEQ, seq).map_err(redb_error)?;
        tables.meta.insert(META_TASK, task).map_err(redb_error)?;
    }
    txn.commit().map_err(redb_error)?;
    Ok(results)
}

/// Answers are sent after the commit, and the commit is on disk by then.
#[cfg(not(feature = "planted-bugs"))]
fn durability() -> Durability {
    Durability::Immediate
}

/// The planted bug: what is acknowledged reaches the disk once a second only.
#[cfg(feature = "planted-bugs")]
fn durability() -> Durability {
    use std::sync::Mutex;
    use std::time::{Duration, Instant};
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    if !crate::planted::planted(crate::planted::Bug::AckBeforeDurable) {
        return Durability::Immediate;
    }
    let mut last = LAST
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if last.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
        *last = Some(Instant::now());
        return Durability::Immediate;
    }
    Durability::None
}

type Performed = Result<(Vec<Effect>, Vec<Option<Document>>), Refusal>;

fn perform(tables: &mut Tables<'_>, write: Write) -> Result<Performed, StoreError> {
    if let Some(fencing) = write.fencing
        && let Some(refusal) = tables.admit(&write.index, fencing, &write.ops)?
    {
        return Ok(Err(refusal));
    }
    let mut effects = Vec::with_capacity(write.ops.len());
    let mut documents = Vec::new();
    for op in write.ops {
        let id = match &op {
            Op::Put(u) | Op::Merge(u) if write.want_documents => Some(u.id.clone()),
            _ => None,
        };
        let effect = tables.apply(&write.index, op, write.origin)?;
        if let Some(id) = id {
            documents.push(if effect.applied {
                tables.document(&write.index, &id)?
            } else {
                None
            });
        }
        effects.push(effect);
    }
    tables.log_changes(write.origin)?;
    Ok(Ok((effects, documents)))
}

fn raise(tables: &mut Tables<'_>, fence: &FenceRequest) -> Result<Performed, StoreError> {
    if let Some(refusal) = tables.admit_epoch(fence.epoch, fence.incarnation)? {
        return Ok(Err(refusal));
    }
    for &shard in &fence.shards {
        tables.fence(&fence.index, shard, fence.term)?;
    }
    Ok(Ok((Vec::new(), Vec::new())))
}

impl Job {
    fn ops(&self) -> usize {
        match &self.work {
            Work::Write(write) => write.ops.len(),
            Work::Fence(_) => 1,
        }
    }
}
