//! How long a check may take, how far it has come, and who is told.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How far a check has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes of text were read.
    Bytes(u64),
    /// So many events were read, and judged by what judges them one by one.
    Events(u32),
    /// A search for an order of operations explained some of an object's returns.
    Search {
        /// Returns explained, at the furthest.
        returns: usize,
        /// Returns in all.
        of: usize,
        /// Configurations kept.
        configurations: usize,
    },
    /// A step of judging transactions begins.
    Transactions {
        /// How many there are.
        count: usize,
        /// What is looked for.
        step: &'static str,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Bytes(bytes) => write!(f, "{bytes} bytes"),
            Progress::Events(events) => write!(f, "{events} events"),
            Progress::Search {
                returns,
                of,
                configurations,
            } => write!(
                f,
                "{returns} of {of} operations ordered ({configurations} configurations)"
            ),
            Progress::Transactions { count, step } => write!(f, "{count} transactions: {step}"),
        }
    }
}

/// Is told how far a check has come, and for how long it has run; `Break` stops it.
pub type Tell = fn(Progress, Duration) -> ControlFlow<()>;

/// Runs from the beginning of a check.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun: Instant,
    limit: Option<Duration>,
    tell: Option<Tell>,
}

impl Clock {
    /// Begins to run.
    pub fn start(limit: Option<Duration>, tell: Option<Tell>) -> Self {
        Clock {
            begun: Instant::now(),
            limit,
            tell,
        }
    }

    /// For reading before checking: ends when half of the time left is over, so that what was read can
    /// still be checked.
    #[must_use]
    pub fn for_reading(self) -> Self {
        let limit = self.left().map(|left| self.begun.elapsed() + left / 2);
        Clock { limit, ..self }
    }

    /// Time left, if there is a limit.
    pub fn left(&self) -> Option<Duration> {
        self.limit
            .map(|limit| limit.saturating_sub(self.begun.elapsed()))
    }

    /// Tells how far the check has come. Returns why it has to stop, if it has to.
    pub fn stop(&self, progress: Progress) -> Option<String> {
        let elapsed = self.begun.elapsed();
        if self.limit.is_some_and(|limit| elapsed >= limit) {
            return Some(format!("the time limit was reached after {progress}"));
        }
        let stopped = self
            .tell
            .is_some_and(|tell| tell(progress, elapsed).is_break());
        stopped.then(|| format!("it was stopped after {progress}"))
    }
}

impl Default for Clock {
    /// Without limit.
    fn default() -> Self {
        Clock::start(None, None)
    }
}
