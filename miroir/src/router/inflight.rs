//! Writes under way, by shard: counted from admission until every target has settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counters of one routing table.
pub(crate) struct Inflight {
    counts: Vec<AtomicUsize>,
    settled: Notify,
}

impl Inflight {
    /// All zero.
    pub(crate) fn new(shards: usize) -> Arc<Self> {
        Arc::new(Inflight {
            counts: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            settled: Notify::new(),
        })
    }

    /// Counts a write until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>, shards: Vec<u32>) -> Guard {
        for &shard in &shards {
            self.counts[shard as usize].fetch_add(1, Ordering::AcqRel);
        }
        Guard {
            inflight: Arc::clone(self),
            shards,
        }
    }

    /// Writes under way to a shard.
    pub(crate) fn of(&self, shard: u32) -> usize {
        self.counts[shard as usize].load(Ordering::Acquire)
    }

    /// Writes under way to these shards; one that touches several counts for each.
    pub(crate) fn sum(&self, shards: &[u32]) -> usize {
        shards.iter().map(|&s| self.of(s)).sum()
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.counts.iter().all(|c| c.load(Ordering::Acquire) == 0)
    }

    /// Waits until nothing is under way to these shards.
    pub(crate) async fn drained(&self, shards: &[u32]) {
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before counting, so that no settling in between is missed.
            settled.as_mut().enable();
            if self.sum(shards) == 0 {
                return;
            }
            settled.await;
        }
    }
}

/// Holds a write's place in the counts.
pub(crate) struct Guard {
    inflight: Arc<Inflight>,
    shards: Vec<u32>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut zero = false;
        for &shard in &self.shards {
            zero |= self.inflight.counts[shard as usize].fetch_sub(1, Ordering::AcqRel) == 1;
        }
        if zero {
            self.inflight.settled.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_ends_when_the_last_write_to_its_shards_settles() {
        let inflight = Inflight::new(4);
        let (first, second) = (inflight.enter(vec![1, 2]), inflight.enter(vec![2]));
        let _other = inflight.enter(vec![3]);
        assert_eq!(inflight.sum(&[1, 2]), 3);
        let waiting = Arc::clone(&inflight);
        let drain = tokio::spawn(async move { waiting.drained(&[1, 2]).await });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!drain.is_finished());
        drop(second);
        drain.await.unwrap();
        assert!(!inflight.is_idle());
    }
}
