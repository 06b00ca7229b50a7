//! Client writes under way: each has a number, and stays until every target has settled. An operator can list them
//! and mark them failed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Notify;

const OPEN: u8 = 0;
const ANSWERED: u8 = 1;
const FAILED: u8 = 2;

/// What a write is, for operators.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    /// `replace`, `merge` or `delete`.
    pub(crate) kind: &'static str,
    /// How many documents.
    pub(crate) documents: usize,
    /// Primary key of the first.
    pub(crate) first: String,
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct Entry {
    id: u64,
    /// Of the routing table it was admitted by.
    term: u64,
    /// Each once.
    pub(crate) shards: Vec<u32>,
    about: About,
    begun: Instant,
    verdict: AtomicU8,
    failed: Notify,
}

impl Entry {
    /// Decides that the client is told of success; false if the write was marked failed before.
    pub(crate) fn acknowledge(&self) -> bool {
        self.verdict
            .compare_exchange(OPEN, ANSWERED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Waits until it is marked failed.
    pub(crate) async fn given_up(&self) {
        loop {
            let failed = self.failed.notified();
            tokio::pin!(failed);
            // Registered before looking, so that no mark in between is missed.
            failed.as_mut().enable();
            if self.verdict.load(Ordering::Acquire) & FAILED != 0 {
                return;
            }
            failed.await;
        }
    }

    fn give_up(&self) {
        // What was answered stays so; the requests still open are given up all the same.
        self.verdict.fetch_or(FAILED, Ordering::AcqRel);
        self.failed.notify_waiters();
    }

    fn touches(&self, shards: &[u32]) -> bool {
        self.shards.iter().any(|s| shards.contains(s))
    }
}

/// All writes under way.
#[derive(Default)]
pub(crate) struct Underway {
    entries: Mutex<BTreeMap<u64, Arc<Entry>>>,
    last: AtomicU64,
    settled: Notify,
}

impl Underway {
    /// Counts a write until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, term: u64, shards: Vec<u32>, about: About) -> Guard {
        let entry = Arc::new(Entry {
            id: self.last.fetch_add(1, Ordering::AcqRel) + 1,
            term,
            shards,
            about,
            begun: Instant::now(),
            verdict: AtomicU8::new(OPEN),
            failed: Notify::new(),
        });
        self.lock().insert(entry.id, Arc::clone(&entry));
        Guard {
            entry,
            underway: Arc::clone(self),
        }
    }

    /// Writes to a shard.
    pub(crate) fn of(&self, shard: u32) -> usize {
        self.lock()
            .values()
            .filter(|e| e.shards.contains(&shard))
            .count()
    }

    /// Writes to these shards admitted before a term, oldest first.
    pub(crate) fn pending(&self, before_term: u64, shards: &[u32]) -> Vec<u64> {
        let entries = self.lock();
        let pending = entries
            .values()
            .filter(|e| e.term < before_term && e.touches(shards));
        pending.map(|e| e.id).collect()
    }

    /// Waits until those have settled.
    pub(crate) async fn drained(&self, before_term: u64, shards: &[u32]) {
        self.until(|| self.pending(before_term, shards).is_empty())
            .await;
    }

    /// Waits until these have settled.
    #[cfg(feature = "planted-bugs")]
    pub(crate) async fn settled(&self, ids: &[u64]) {
        self.until(|| !self.lock().keys().any(|id| ids.contains(id)))
            .await;
    }

    /// Writes older than `age`, oldest first, for operators.
    pub(crate) fn list(&self, age: Duration) -> Vec<Value> {
        let entries = self.lock();
        let old = entries.values().filter(|e| e.begun.elapsed() >= age);
        old.map(|e| {
            json!({
                "id": e.id,
                "age_ms": u64::try_from(e.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                "kind": e.about.kind,
                "documents": e.about.documents,
                "first": e.about.first,
                "shards": e.shards,
                "answered": e.verdict.load(Ordering::Acquire) & ANSWERED != 0,
            })
        })
        .collect()
    }

    /// Marks these writes failed; answers with those that still were under way. Their clients are told that the
    /// outcome is unknown, unless they were answered before.
    pub(crate) fn fail(&self, ids: &[u64]) -> Vec<Arc<Entry>> {
        let entries = self.lock();
        let found: Vec<_> = ids
            .iter()
            .filter_map(|id| entries.get(id).cloned())
            .collect();
        for entry in &found {
            entry.give_up();
        }
        found
    }

    /// The ids of writes older than `age`.
    pub(crate) fn older_than(&self, age: Duration) -> Vec<u64> {
        let entries = self.lock();
        let old = entries.values().filter(|e| e.begun.elapsed() >= age);
        old.map(|e| e.id).collect()
    }

    async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before counting, so that no settling in between is missed.
            settled.as_mut().enable();
            if done() {
                return;
            }
            settled.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Its number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

/// Holds a write's place.
pub(crate) struct Guard {
    pub(crate) entry: Arc<Entry>,
    underway: Arc<Underway>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.underway.lock().remove(&self.entry.id);
        self.underway.settled.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(underway: &Arc<Underway>, term: u64, shards: &[u32]) -> Guard {
        underway.enter(term, shards.to_vec(), About::default())
    }

    #[tokio::test]
    async fn a_drain_ends_when_the_last_earlier_write_to_its_shards_settles() {
        let underway = Arc::new(Underway::default());
        let (first, second) = (enter(&underway, 1, &[1, 2]), enter(&underway, 1, &[2]));
        let _other = enter(&underway, 1, &[3]);
        let _later = enter(&underway, 2, &[2]);
        assert_eq!(underway.pending(2, &[1, 2]), [1, 2]);
        assert_eq!(underway.of(2), 3);
        let waiting = Arc::clone(&underway);
        let drain = tokio::spawn(async move { waiting.drained(2, &[1, 2]).await });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!drain.is_finished());
        drop(second);
        drain.await.unwrap();
    }

    #[tokio::test]
    async fn a_write_marked_failed_cannot_be_acknowledged_any_more() {
        let underway = Arc::new(Underway::default());
        let (failed, answered) = (enter(&underway, 1, &[1]), enter(&underway, 1, &[1]));
        assert!(answered.entry.acknowledge());
        let found = underway.fail(&[failed.entry.id, answered.entry.id, 99]);
        assert_eq!(found.len(), 2);
        failed.entry.given_up().await;
        answered.entry.given_up().await;
        assert!(!failed.entry.acknowledge());
        assert_eq!(
            underway.list(Duration::ZERO)[1]["answered"],
            serde_json::json!(true)
        );
    }
}
