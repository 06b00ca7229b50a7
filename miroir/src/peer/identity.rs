//! Which incarnation of the router this process is, and whether a newer one has taken over.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;
use tokio::sync::Notify;

use crate::log;

/// This incarnation: every request to a node carries its epoch and its number, and a node that knows a newer epoch,
/// or the same one of another incarnation, refuses.
#[derive(Debug)]
pub(crate) struct Identity {
    epoch: AtomicU64,
    /// Random, so that two routers started from copies of one data directory differ.
    pub(crate) incarnation: u64,
    registered: AtomicBool,
    superseded: AtomicBool,
    changed: Notify,
}

impl Identity {
    /// A new incarnation, without an epoch yet.
    pub(crate) fn new() -> Self {
        // The standard library seeds its hashers from the operating system's random numbers.
        let random = RandomState::new().build_hasher().finish();
        Identity {
            epoch: AtomicU64::new(0),
            // Zero is what nodes take for unknown.
            incarnation: random | 1,
            registered: AtomicBool::new(false),
            superseded: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// The epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Takes an epoch that is about to be registered with the nodes.
    pub(crate) fn take_epoch(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// From now on a refusal for its epoch means that a newer router has taken over.
    pub(crate) fn set_registered(&self) {
        self.registered.store(true, Ordering::Release);
    }

    /// A node refused this incarnation.
    pub(crate) fn refused(&self, by: &str) {
        if self.registered.load(Ordering::Acquire) && !self.superseded.swap(true, Ordering::AcqRel)
        {
            log::event(
                "superseded",
                &[("epoch", json!(self.epoch())), ("node", json!(by))],
            );
            self.changed.notify_waiters();
        }
    }

    /// Whether a newer router has taken over: this one must not act any more.
    pub(crate) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// Waits until a newer router has taken over.
    pub(crate) async fn superseded(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_superseded() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incarnations_differ_and_a_refusal_counts_once_registered() {
        let (a, b) = (Identity::new(), Identity::new());
        assert_ne!(a.incarnation, b.incarnation);
        a.refused("n1");
        assert!(!a.is_superseded());
        a.set_registered();
        a.refused("n1");
        assert!(a.is_superseded() && !b.is_superseded());
    }
}
