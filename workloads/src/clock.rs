//! The run's clock: monotonic nanoseconds since the run began.

use std::time::Instant;

/// Copyable; every actor of a run holds the same one.
#[derive(Debug, Clone, Copy)]
pub struct RunClock(Instant);

impl RunClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        RunClock(Instant::now())
    }

    /// Nanoseconds since the start.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).expect("a run lasts less than 584 years")
    }

    /// The instant that lies `ns` nanoseconds after the start.
    pub fn instant(&self, ns: u64) -> Instant {
        self.0 + std::time::Duration::from_nanos(ns)
    }
}
