//! Order among writes to the same document: merges must reach the owners in the order of their stamps.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

/// The keys that are locked now. Keys with the same hash share a lock.
#[derive(Default)]
pub(crate) struct KeyLocks(Arc<Mutex<Locks>>);

/// Locks some keys until it is dropped.
pub(crate) struct KeyGuard {
    locks: Arc<Mutex<Locks>>,
    number: u64,
    keys: Vec<u64>,
}

#[derive(Default)]
struct Locks {
    /// Locked keys.
    keys: HashMap<u64, Queue>,
    /// Those who have not got all their keys yet, by number.
    waiting: HashMap<u64, Waiting>,
    last: u64,
}

/// Who has a key, and who waits for it, in order; by number.
struct Queue {
    holder: u64,
    next: VecDeque<u64>,
}

struct Waiting {
    /// Keys it has not got.
    missing: usize,
    wake: oneshot::Sender<()>,
}

impl KeyLocks {
    /// Waits for all keys. Who asks takes a place in the queues of all keys at once, so that batches cannot block each
    /// other for ever, and none is overtaken. Takes time in proportion to the number of keys.
    pub(crate) async fn lock(&self, ids: impl Iterator<Item = &str>) -> KeyGuard {
        let mut keys: Vec<u64> = ids.map(|id| xxh3_64(id.as_bytes())).collect();
        keys.sort_unstable();
        keys.dedup();
        let (guard, granted) = self.enter(keys);
        if let Some(granted) = granted {
            // Whoever has the keys passes them on when it ends.
            let _ = granted.await;
        }
        guard
    }

    /// Joins the queues; with something to wait for unless all keys were free.
    fn enter(&self, keys: Vec<u64>) -> (KeyGuard, Option<oneshot::Receiver<()>>) {
        let mut locks = lock(&self.0);
        locks.last += 1;
        let number = locks.last;
        let mut missing = 0;
        for key in &keys {
            match locks.keys.get_mut(key) {
                Some(queue) => {
                    queue.next.push_back(number);
                    missing += 1;
                }
                None => {
                    let queue = Queue {
                        holder: number,
                        next: VecDeque::new(),
                    };
                    locks.keys.insert(*key, queue);
                }
            }
        }
        let granted = (missing > 0).then(|| {
            let (wake, granted) = oneshot::channel();
            locks.waiting.insert(number, Waiting { missing, wake });
            granted
        });
        let guard = KeyGuard {
            locks: Arc::clone(&self.0),
            number,
            keys,
        };
        (guard, granted)
    }
}

impl Locks {
    /// Takes somebody out of a key's queue, and gives the key to the next if it was the holder.
    fn leave(&mut self, key: u64, number: u64) {
        let Some(queue) = self.keys.get_mut(&key) else {
            return;
        };
        if queue.holder != number {
            queue.next.retain(|n| *n != number);
            return;
        }
        let Some(next) = queue.next.pop_front() else {
            self.keys.remove(&key);
            return;
        };
        queue.holder = next;
        let Some(waiting) = self.waiting.get_mut(&next) else {
            return;
        };
        waiting.missing -= 1;
        if waiting.missing == 0
            && let Some(waiting) = self.waiting.remove(&next)
        {
            // If it has given up, its guard leaves the queues.
            let _ = waiting.wake.send(());
        }
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut locks = lock(&self.locks);
        locks.waiting.remove(&self.number);
        for key in &self.keys {
            locks.leave(*key, self.number);
        }
    }
}

fn lock(locks: &Mutex<Locks>) -> MutexGuard<'_, Locks> {
    locks.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Whether the keys can be had at once.
    async fn free(locks: &KeyLocks, ids: &[&str]) -> bool {
        let asked = locks.lock(ids.iter().copied());
        timeout(Duration::ZERO, asked).await.is_ok()
    }

    #[tokio::test]
    async fn writes_to_a_key_wait_for_each_other_and_others_do_not() {
        let locks = KeyLocks::default();
        let first = locks.lock(["a", "b", "a"].into_iter()).await;
        assert!(!free(&locks, &["b", "c"]).await);
        assert!(free(&locks, &["c", "d"]).await);
        drop(first);
        assert!(free(&locks, &["a", "b"]).await);
        assert!(lock(&locks.0).keys.is_empty() && lock(&locks.0).waiting.is_empty());
    }

    #[tokio::test]
    async fn nobody_is_overtaken() {
        let locks = KeyLocks::default();
        let key = |id: &str| vec![xxh3_64(id.as_bytes())];
        let (first, _) = locks.enter(key("a"));
        let (second, second_granted) = locks.enter(key("a"));
        let (_third, third_granted) = locks.enter(key("a"));
        let (mut second_granted, mut third_granted) =
            (second_granted.unwrap(), third_granted.unwrap());
        drop(first);
        assert!(second_granted.try_recv().is_ok() && third_granted.try_recv().is_err());
        drop(second);
        assert!(third_granted.try_recv().is_ok());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_blocks_nobody() {
        let locks = KeyLocks::default();
        let first = locks.lock(["a"].into_iter()).await;
        assert!(!free(&locks, &["a", "b"]).await);
        assert!(free(&locks, &["b"]).await);
        drop(first);
        assert!(free(&locks, &["a"]).await);
        assert!(lock(&locks.0).keys.is_empty() && lock(&locks.0).waiting.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_over_the_same_keys_all_come_to_an_end() {
        let locks = Arc::new(KeyLocks::default());
        let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
        let tasks = (0..64_usize).map(|n| {
            let (locks, names) = (Arc::clone(&locks), names.clone());
            tokio::spawn(async move {
                for round in 0..50 {
                    let ids = (0..4).map(|k| names[(n * 3 + round + k * 5) % 8].as_str());
                    let _guard = locks.lock(ids).await;
                    tokio::task::yield_now().await;
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(lock(&locks.0).keys.is_empty());
    }
}
