//! The one writer: drains a bounded queue of requests into a transaction, syncs them to the redo log, commits, then
//! answers them all. From time to time the database itself is synced, and the log begins again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use redb::{Database, Durability};
use tokio::sync::oneshot;

use super::apply::{Effect, Op, Refusal, Tables};
use super::redo::{self, Redo};
use super::redo_batch;
use super::store::{META_SEQ, META_TASK, Store, StoreError, redb_error};
use crate::log;
use crate::metrics::NodeMetrics;
use crate::wire::document::Document;
use crate::wire::message::{FenceRequest, Origin};

/// Operations put into one transaction at most, so that none waits long for its neighbours.
const MAX_OPS: usize = 8192;

/// Bytes in the redo log after which the database is synced: bounds the time that opening takes after a crash, the
/// log's file, and what the database keeps in memory.
const MAX_LOGGED_BYTES: u64 = 32 << 20;

/// Commits after which the database is synced.
const MAX_LOGGED_COMMITS: u32 = 2048;

/// Room that a commit leaves on the disk.
const RESERVE_BYTES: u64 = 2 << 20;

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
    /// Size of the request.
    pub(crate) bytes: usize,
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
    /// There is no room on the disk; nothing was applied.
    DiskFull,
    /// The storage failed; nothing is known.
    Storage(String),
}

/// What the writer is asked.
#[derive(Debug)]
pub(crate) enum Work {
    Write(Write),
    Fence(FenceRequest),
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Written, WriteError>>,
    slot: Slot,
}

/// What waits for the writer.
#[derive(Debug, Default)]
struct Queued {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// A request's place in the counts, until its commit.
struct Slot {
    queued: Arc<Queued>,
    bytes: usize,
}

impl Slot {
    /// Takes a place; a request larger than the limit must have the queue to itself.
    fn take(queued: &Arc<Queued>, bytes: usize, limit: usize) -> Option<Self> {
        queued.requests.fetch_add(1, Ordering::Relaxed);
        let before = queued.bytes.fetch_add(bytes, Ordering::Relaxed);
        let slot = Slot {
            queued: Arc::clone(queued),
            bytes,
        };
        (before == 0 || before + bytes <= limit).then_some(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.queued.requests.fetch_sub(1, Ordering::Relaxed);
        self.queued.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// How the writer works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Requests that may wait.
    pub(crate) queue: usize,
    /// Bytes of requests that may wait.
    pub(crate) queue_bytes: usize,
    /// Changes that stay in the log.
    pub(crate) keep_changes: u64,
}

/// The queue's entrance.
#[derive(Clone)]
pub(crate) struct Writer {
    sender: SyncSender<Job>,
    queued: Arc<Queued>,
    queue_bytes: usize,
    metrics: Arc<NodeMetrics>,
}

impl Writer {
    /// Queues a write and waits until it is durable.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, WriteError> {
        let bytes = write.bytes;
        self.submit(Work::Write(write), bytes).await
    }

    /// Requests that wait, and their bytes.
    pub(crate) fn queued(&self) -> (usize, usize) {
        (
            self.queued.requests.load(Ordering::Relaxed),
            self.queued.bytes.load(Ordering::Relaxed),
        )
    }

    /// Raises fences; when this returns, no older write will be applied any more.
    pub(crate) async fn fence(&self, fence: FenceRequest) -> Result<Written, WriteError> {
        self.submit(Work::Fence(fence), 0).await
    }

    async fn submit(&self, work: Work, bytes: usize) -> Result<Written, WriteError> {
        let full = || {
            self.metrics.wrote("queue_full", 1);
            WriteError::QueueFull
        };
        let slot = Slot::take(&self.queued, bytes, self.queue_bytes).ok_or_else(full)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { work, reply, slot };
        self.sender.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => full(),
            TrySendError::Disconnected(_) => WriteError::Closed,
        })?;
        answer
            .await
            .unwrap_or_else(|_| Err(WriteError::Storage("the writer ended".to_owned())))
    }
}

/// Starts the writer thread; it ends when the last [`Writer`] is dropped. The store has caught up with the log.
pub(crate) fn start(
    store: Arc<Store>,
    log: Redo,
    limits: Limits,
    metrics: Arc<NodeMetrics>,
) -> std::io::Result<(Writer, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(limits.queue);
    let writer = Writer {
        sender,
        queued: Arc::default(),
        queue_bytes: limits.queue_bytes,
        metrics: Arc::clone(&metrics),
    };
    let committer = Committer {
        store,
        log,
        logged_commits: 0,
        keep_changes: limits.keep_changes,
        metrics,
    };
    let thread = std::thread::Builder::new()
        .name("writer".to_owned())
        .spawn(move || committer.run(&receiver))?;
    Ok((writer, thread))
}

/// Applies what the redo log has and the database has not, and syncs the database.
pub(crate) fn catch_up(
    database: &Database,
    log: &Redo,
    keep_changes: u64,
) -> Result<(), StoreError> {
    let txn = database.begin_write().map_err(redb_error)?;
    {
        let mut tables = Tables::open(&txn, keep_changes)?;
        for (number, batch) in log.read(tables.counter(META_SEQ)?)? {
            let batch = redo_batch::read(batch).ok_or(StoreError::Batch(number))?;
            perform_all(&mut tables, batch)?;
        }
    }
    txn.commit().map_err(redb_error)
}

/// The writer's side of the queue.
struct Committer {
    store: Arc<Store>,
    log: Redo,
    /// Since the database was synced.
    logged_commits: u32,
    keep_changes: u64,
    metrics: Arc<NodeMetrics>,
}

/// The results of a batch, in its order.
type Results = Vec<Result<Written, WriteError>>;

impl Committer {
    fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let mut ops = first.ops();
            let mut jobs = vec![first];
            while ops < MAX_OPS
                && let Ok(job) = queue.try_recv()
            {
                ops += job.ops();
                jobs.push(job);
            }
            let bytes = jobs.iter().map(|j| j.slot.bytes as u64).sum::<u64>();
            let begun = Instant::now();
            let result = match self.make_room(bytes) {
                Ok(true) => self.commit(jobs),
                Ok(false) => {
                    self.metrics.wrote("disk_full", jobs.len() as u64);
                    refuse(jobs, || WriteError::DiskFull);
                    continue;
                }
                Err(error) => {
                    self.metrics.wrote("failed", jobs.len() as u64);
                    refuse(jobs, || WriteError::Storage(error.to_string()));
                    Err(error)
                }
            };
            self.metrics.committed(begun.elapsed());
            if let Err(error) = result {
                self.recover(&error);
            }
        }
        // The next start is faster; without, it would catch up.
        let _ = self.checkpoint();
    }

    /// Whether the disk has room for a commit of so many bytes, for redb to move what they share pages with, and for
    /// the database to be synced afterwards. Asked beforehand, since a commit that fails half-way leaves it open
    /// whether it was made.
    fn make_room(&mut self, bytes: u64) -> Result<bool, StoreError> {
        let logged = self.log.bytes();
        if self.has_room(16 * logged + 4 * bytes) {
            return Ok(true);
        }
        // Somebody else may have filled the disk: then reads go on with what is in memory.
        if self.logged_commits == 0 || !self.has_room(4 * logged) {
            return Ok(false);
        }
        self.checkpoint()?;
        Ok(self.has_room(4 * bytes))
    }

    fn has_room(&self, bytes: u64) -> bool {
        let free = self.store.free_bytes();
        free.is_none_or(|free| free > RESERVE_BYTES + bytes)
    }

    /// Syncs the database; the log begins again.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.store.begin_write()?.commit().map_err(redb_error)?;
        self.log.rewind();
        self.logged_commits = 0;
        Ok(())
    }

    /// After a failure: the database is opened anew, without what was neither logged nor synced.
    fn recover(&mut self, error: &StoreError) {
        log::warn(&format!("a commit failed: {error}"));
        let catch_up = |database: &Database| catch_up(database, &self.log, self.keep_changes);
        match self.store.reopen(catch_up) {
            Ok(()) => {
                self.log.rewind();
                self.logged_commits = 0;
                log::event("reopened", &[]);
            }
            Err(error) => log::warn(&format!("the database cannot be opened again yet: {error}")),
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), StoreError> {
        let mut works = Vec::with_capacity(jobs.len());
        let mut waiting = Vec::with_capacity(jobs.len());
        for Job { work, reply, slot } in jobs {
            works.push(work);
            waiting.push((reply, slot));
        }
        let (results, failed) = match self.transact(works) {
            Ok(results) => (results, None),
            Err(error) => {
                let message = error.to_string();
                let failures = waiting.iter();
                let failures = failures.map(|_| Err(WriteError::Storage(message.clone())));
                (failures.collect(), Some(error))
            }
        };
        for ((reply, _slot), result) in waiting.into_iter().zip(results) {
            self.metrics.wrote(
                match &result {
                    Ok(_) => "committed",
                    Err(WriteError::Refused(_)) => "fenced",
                    Err(_) => "failed",
                },
                1,
            );
            // The client may have gone; its write stays.
            let _ = reply.send(result);
        }
        match failed {
            Some(error) => Err(error),
            None if self.is_due() => self.checkpoint(),
            None => Ok(()),
        }
    }

    fn is_due(&self) -> bool {
        self.log.bytes() >= MAX_LOGGED_BYTES || self.logged_commits >= MAX_LOGGED_COMMITS
    }

    /// Readers see a batch only when it is on disk: first it is logged, then committed.
    fn transact(&mut self, batch: Vec<Work>) -> Result<Results, StoreError> {
        let mut record = redo::record();
        for work in &batch {
            redo_batch::put(&mut record, work);
        }
        let mut txn = self.store.begin_write()?;
        let (number, results) = {
            let mut tables = Tables::open(&txn, self.keep_changes)?;
            perform_all(&mut tables, batch)?
        };
        if is_logged() {
            self.log.append(number, record)?;
            self.logged_commits += 1;
        }
        txn.set_durability(durability()).map_err(redb_error)?;
        txn.commit().map_err(redb_error)?;
        Ok(results)
    }
}

fn refuse(jobs: Vec<Job>, error: impl Fn() -> WriteError) {
    for job in jobs {
        // The client may have gone.
        let _ = job.reply.send(Err(error()));
    }
}

/// Carries out a batch; answers with its number and the results.
fn perform_all(tables: &mut Tables<'_>, batch: Vec<Work>) -> Result<(u64, Results), StoreError> {
    let seq = tables.counter(META_SEQ)? + 1;
    let mut task = tables.counter(META_TASK)?;
    let mut results = Vec::with_capacity(batch.len());
    for work in batch {
        let result = match work {
            Work::Write(write) => perform(tables, write)?,
            Work::Fence(fence) => raise(tables, &fence)?,
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
    Ok((seq, results))
}

/// Answers are sent when the batch is in the redo log, and the log is on disk by then.
#[cfg(not(feature = "planted-bugs"))]
fn is_logged() -> bool {
    true
}

/// The planted bug: what is acknowledged is not logged.
#[cfg(feature = "planted-bugs")]
fn is_logged() -> bool {
    !crate::planted::planted(crate::planted::Bug::AckBeforeDurable)
}

/// The database is synced at checkpoints only.
#[cfg(not(feature = "planted-bugs"))]
fn durability() -> Durability {
    Durability::None
}

/// The planted bug: what is acknowledged reaches the disk once a second only.
#[cfg(feature = "planted-bugs")]
fn durability() -> Durability {
    use std::sync::Mutex;
    use std::time::Duration;
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    if is_logged() {
        return Durability::None;
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
            Op::Upsert(u) if write.want_documents => Some(u.id.clone()),
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
    tables.learn_shards(fence.count)?;
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
