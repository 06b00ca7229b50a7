//! How far a search may go, and why it stopped.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

/// Bounds of a check.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Memory that the tables of all searches may take together, in bytes. Past it the answer is
    /// unknown. Histories checked side by side share it evenly.
    pub memory_bytes: usize,
    /// Time after which the answer is unknown.
    pub time: Option<Duration>,
    /// Configurations that a search looks at in depth before it goes on in breadth; `None`: some for each
    /// operation. No bound on the search, only its order.
    pub in_depth: Option<u64>,
    /// Threads that check keys side by side.
    pub threads: usize,
    /// Called now and then from the checking threads; `Break` stops the check.
    pub progress: Option<&'a (dyn Fn(Progress) -> ControlFlow<()> + Sync)>,
}

impl Default for Limits<'_> {
    /// 1 GiB, no time limit, one thread.
    fn default() -> Self {
        Limits {
            memory_bytes: 1 << 30,
            time: None,
            in_depth: None,
            threads: 1,
            progress: None,
        }
    }
}

impl fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("memory_bytes", &self.memory_bytes)
            .field("time", &self.time)
            .field("in_depth", &self.in_depth)
            .field("threads", &self.threads)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

/// How far one search has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Returns explained so far, at the furthest.
    pub returns: usize,
    /// Returns in the history.
    pub of: usize,
    /// Configurations kept.
    pub configurations: usize,
    /// Memory of the tables.
    pub memory_bytes: usize,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The tables grew past the bound.
    Memory {
        /// The bound, in bytes.
        limit_bytes: usize,
    },
    /// The time is up.
    Time,
    /// The caller stopped the check.
    Stopped,
    /// More operations in flight at one moment than a configuration can hold.
    Concurrency {
        /// How many were in flight.
        found: usize,
        /// How many are possible.
        limit: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Memory { limit_bytes } => {
                write!(f, "the memory bound of {limit_bytes} bytes was reached")
            }
            Reason::Time => f.write_str("the time limit was reached"),
            Reason::Stopped => write!(f, "the check was stopped"),
            Reason::Concurrency { found, limit } => {
                write!(f, "{found} operations in flight at once, more than {limit}")
            }
        }
    }
}
