//! How long faults may stay without a word from the harness.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The lease of one agent; none until the harness says hello.
#[derive(Debug)]
pub(crate) struct Lease {
    terms: Mutex<Terms>,
}

#[derive(Debug)]
struct Terms {
    renewed: Instant,
    length: Option<Duration>,
}

impl Lease {
    pub(crate) fn new() -> Self {
        Self {
            terms: Mutex::new(Terms {
                renewed: Instant::now(),
                length: None,
            }),
        }
    }

    pub(crate) fn begin(&self, length: Duration) {
        *self.terms() = Terms {
            renewed: Instant::now(),
            length: Some(length),
        };
    }

    pub(crate) fn renew(&self) {
        self.terms().renewed = Instant::now();
    }

    /// Time left, zero if it ran out; `None` before [`Lease::begin`].
    pub(crate) fn left(&self) -> Option<Duration> {
        let terms = self.terms();
        terms
            .length
            .map(|length| length.saturating_sub(terms.renewed.elapsed()))
    }

    fn terms(&self) -> MutexGuard<'_, Terms> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
