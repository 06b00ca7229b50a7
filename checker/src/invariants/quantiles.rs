//! The spread of some durations.

use serde::Serialize;

/// Exact quantiles of durations, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many there are.
    pub count: usize,
    /// The shortest.
    pub min_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Quantiles {
    /// Of these; `None` without any. O(n log n).
    pub fn of(mut durations_ns: Vec<u64>) -> Option<Quantiles> {
        durations_ns.sort_unstable();
        let last = durations_ns.len().checked_sub(1)?;
        // As Jepsen counts: so many percent of all are below.
        let at = |percent: usize| durations_ns[(durations_ns.len() * percent / 100).min(last)];
        Some(Quantiles {
            count: durations_ns.len(),
            min_ns: durations_ns[0],
            p50_ns: at(50),
            p95_ns: at(95),
            p99_ns: at(99),
            max_ns: durations_ns[last],
        })
    }
}
