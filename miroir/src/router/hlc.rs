//! The hybrid logical clock that stamps writes, after Kulkarni et al. (2014): wall-clock milliseconds and a counter
//! in one number, never going backwards. What it may hand out is reserved on disk ahead of time, so that neither a
//! restart nor a wall clock set back can repeat or undercut a stamp.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::coordinator::StateStore;
use crate::log;
use crate::wire::stamp::at_millis;

/// Reserved ahead: ten seconds.
const AHEAD_MS: u64 = 10_000;

/// The clock.
pub(crate) struct Hlc {
    last: AtomicU64,
    reserved: AtomicU64,
    reserving: Mutex<()>,
}

impl Hlc {
    /// A clock that goes on above everything reserved before.
    pub(crate) fn new(reserved: u64) -> Self {
        Hlc {
            last: AtomicU64::new(reserved),
            reserved: AtomicU64::new(reserved),
            reserving: Mutex::new(()),
        }
    }

    /// The next stamp: greater than all before, at least the wall clock.
    pub(crate) fn next(&self, store: &StateStore) -> u64 {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::planted(crate::planted::Bug::WallClock) {
            return at_millis(log::wall_ms());
        }
        let stamp = self.advance(log::wall_ms());
        if stamp >= self.reserved.load(Ordering::Acquire) {
            self.reserve(store, stamp);
        }
        stamp
    }

    /// Reserves ahead, so that [`Self::next`] need not; to be called every second or so.
    pub(crate) fn extend(&self, store: &StateStore) {
        let now = self.now();
        if self.reserved.load(Ordering::Acquire) < now + at_millis(AHEAD_MS / 2) {
            self.reserve(store, now);
        }
    }

    /// The time by this clock: the wall clock, or later.
    pub(crate) fn now(&self) -> u64 {
        self.last
            .load(Ordering::Acquire)
            .max(at_millis(log::wall_ms()))
    }

    /// Goes on above a stamp that was seen elsewhere: another router may have had a faster clock.
    pub(crate) fn observe(&self, stamp: u64) {
        self.last.fetch_max(stamp, Ordering::AcqRel);
    }

    fn advance(&self, wall_ms: u64) -> u64 {
        let wall = at_millis(wall_ms);
        let step = |last: u64| Some(wall.max(last + 1));
        let before = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        wall.max(before.unwrap_or_else(|last| last) + 1)
    }

    fn reserve(&self, store: &StateStore, stamp: u64) {
        let _one = self
            .reserving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if stamp + at_millis(AHEAD_MS / 2) < self.reserved.load(Ordering::Acquire) {
            return;
        }
        let until = stamp + at_millis(AHEAD_MS);
        store.reserve_stamps(until);
        self.reserved.store(until, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_when_the_wall_clock_goes_back() {
        let clock = Hlc::new(0);
        let first = clock.advance(1000);
        let second = clock.advance(10);
        let third = clock.advance(1001);
        assert_eq!(first, at_millis(1000));
        assert_eq!(second, first + 1);
        assert_eq!(third, at_millis(1001));
    }

    #[test]
    fn stamps_increase_above_what_another_clock_has_handed_out() {
        let clock = Hlc::new(0);
        clock.observe(at_millis(5000) + 7);
        assert_eq!(clock.advance(1000), at_millis(5000) + 8);
        clock.observe(3);
        assert!(clock.advance(1000) > at_millis(5000) + 8);
    }

    #[test]
    fn a_restarted_clock_starts_above_all_it_had_reserved() {
        let directory = tempfile::tempdir().unwrap();
        let store = StateStore::open(directory.path()).unwrap();
        let clock = Hlc::new(store.reserved_stamps());
        let last = (0..100).map(|_| clock.next(&store)).max().unwrap();
        let restarted = Hlc::new(store.reserved_stamps());
        assert!(restarted.advance(0) > last);
    }
}
