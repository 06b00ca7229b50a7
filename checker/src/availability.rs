//! What each fault did to clients: how long until an operation succeeded again, and error rate and
//! latency before, during and after it.

mod operations;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

pub use operations::read_operations;

use crate::rate::Rate;

/// What one fault did to clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultAvailability {
    /// The fault.
    pub fault: String,
    /// When it took effect, nanoseconds since the start of the run.
    pub start_ns: u64,
    /// When it had ended.
    pub end_ns: u64,
    /// From the fault's start to the next completion of an operation that succeeded, microseconds.
    pub first_success_after_start_us: Option<u64>,
    /// From the fault's end to the next completion of an operation that succeeded, microseconds.
    pub first_success_after_end_us: Option<u64>,
    /// From the fault's start until success was sustained, microseconds.
    pub sustained_success_after_start_us: Option<u64>,
    /// From the fault's end until success was sustained, microseconds.
    pub sustained_success_after_end_us: Option<u64>,
    /// Longest time without a success from the fault's start to the end of the period after it, microseconds.
    pub longest_gap_us: u64,
    /// As long as the fault lasted (at least a second), up to its start.
    pub before: Period,
    /// From its start to its end.
    pub during: Period,
    /// As long as the fault lasted (at least a second), from its end.
    pub after: Period,
}

/// The operations meant to be sent within a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// Operations that completed ok.
    pub ok: u64,
    /// Operations that did not, whether they certainly failed or may have happened.
    pub errors: Rate,
    /// Latency of those that completed ok, corrected for coordinated omission.
    pub latency: Quantiles,
}

/// Latency quantiles, microseconds; 0 without operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// A stretch of time, nanoseconds since the start of the run; its end does not belong to it.
type Stretch = std::ops::Range<u64>;

/// Shortest period before and after a fault; also how long success must last to be sustained.
const SECOND: u64 = 1_000_000_000;
/// Success is sustained if its share falls short of that before the fault by no more than this.
const SHORTFALL: f64 = 0.05;

/// A client operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// When it was meant to be sent: by an open loop's schedule, else when it was invoked.
    pub due_ns: u64,
    /// When it completed; `None` if never.
    pub completed_ns: Option<u64>,
    /// Whether it succeeded.
    pub ok: bool,
    /// For an operation of a closed loop, the interval at which its process would have sent the next
    /// ones had it not been kept waiting, nanoseconds.
    pub interval_ns: Option<u64>,
}

/// What each of `faults` (name and span) did to the clients whose operations these are.
///
/// - The periods before and after a fault are as long as the fault, and at least one second. An
///   operation belongs to the period in which it was due.
/// - Success is *sustained* from the first completion of a successful operation from which on, for one
///   second, the share of operations due that succeed is at most five points below that of the period
///   before the fault (100 % if nothing was due then). Load that ends within that second proves nothing.
/// - A *gap* runs from the first operation due after a success to the next success, so that time
///   in which nothing was due is no gap.
/// - Latency counts from when an operation was due. In a closed loop, where a stall also keeps the next
///   operations from being sent, each latency longer than the interval of its loop stands for those
///   that were not: see [`Histogram::record_correct`], after G. Tene, "How NOT to measure latency" (2013).
///
/// O((n + f) log n) for n operations and f faults, plus the corrections; with faults that never end in
/// sustained success, O(n log n) for each.
#[must_use]
pub fn availability(
    mut operations: Vec<Operation>,
    faults: &[(String, u64, u64)],
) -> Vec<FaultAvailability> {
    operations.sort_by_key(|operation| operation.due_ns);
    let run = Run::new(&operations);
    faults
        .iter()
        .map(|(name, start_ns, end_ns)| run.around(name, *start_ns, *end_ns))
        .collect()
}

/// A run's operations, for many look-ups.
struct Run<'a> {
    /// By when they were due.
    operations: &'a [Operation],
    /// Successful ones among the first so many.
    ok_before: Vec<usize>,
    /// Completions of successful operations, in order.
    successes: Vec<u64>,
    /// The last moment something was due or completed.
    end_ns: u64,
}

impl<'a> Run<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let mut ok_before = vec![0];
        ok_before.extend(operations.iter().scan(0, |ok, operation| {
            *ok += usize::from(operation.ok);
            Some(*ok)
        }));
        let ok = operations.iter().filter(|operation| operation.ok);
        let mut successes: Vec<u64> = ok.filter_map(|operation| operation.completed_ns).collect();
        successes.sort_unstable();
        let ends = operations
            .iter()
            .map(|operation| operation.completed_ns.unwrap_or(operation.due_ns));
        Run {
            ok_before,
            successes,
            end_ns: ends.max().unwrap_or(0),
            operations,
        }
    }

    fn around(&self, fault: &str, start_ns: u64, end_ns: u64) -> FaultAvailability {
        let end_ns = end_ns.max(start_ns);
        let reach = (end_ns - start_ns).max(SECOND);
        let before = start_ns.saturating_sub(reach)..start_ns;
        let after = end_ns..end_ns.saturating_add(reach);
        let baseline = self.success_share(&before).unwrap_or(1.0);
        let since = |from: u64, moment: Option<u64>| moment.map(|at| (at - from) / 1_000);
        FaultAvailability {
            fault: fault.to_owned(),
            start_ns,
            end_ns,
            first_success_after_start_us: since(start_ns, self.next_success(start_ns)),
            first_success_after_end_us: since(end_ns, self.next_success(end_ns)),
            sustained_success_after_start_us: since(start_ns, self.sustained(start_ns, baseline)),
            sustained_success_after_end_us: since(end_ns, self.sustained(end_ns, baseline)),
            longest_gap_us: self.longest_gap(&(start_ns..after.end)) / 1_000,
            before: self.period(&before),
            during: self.period(&(start_ns..end_ns)),
            after: self.period(&after),
        }
    }

    /// Indices of the operations due in a stretch.
    fn due(&self, stretch: &Stretch) -> std::ops::Range<usize> {
        let first_from = |time| self.operations.partition_point(|o| o.due_ns < time);
        first_from(stretch.start)..first_from(stretch.end)
    }

    fn success_share(&self, stretch: &Stretch) -> Option<f64> {
        let due = self.due(stretch);
        let ok = self.ok_before[due.end] - self.ok_before[due.start];
        (!due.is_empty()).then(|| ok as f64 / due.len() as f64)
    }

    fn next_success(&self, from: u64) -> Option<u64> {
        let next = self.successes.partition_point(|at| *at < from);
        self.successes.get(next).copied()
    }

    fn sustained(&self, from: u64, baseline: f64) -> Option<u64> {
        let last_due = self.operations.last()?.due_ns;
        let first = self.successes.partition_point(|at| *at < from);
        let lasts = |at: &u64| {
            let share = self.success_share(&(*at..at.saturating_add(SECOND)));
            share.is_some_and(|share| share >= baseline - SHORTFALL)
        };
        self.successes[first..]
            .iter()
            .copied()
            .take_while(|at| at.saturating_add(SECOND) <= last_due)
            .find(lasts)
    }

    fn longest_gap(&self, stretch: &Stretch) -> u64 {
        let end = stretch.end.min(self.end_ns);
        let due_from = |time: u64| {
            let next = self.operations.partition_point(|o| o.due_ns < time);
            self.operations.get(next).map(|operation| operation.due_ns)
        };
        let first = self.successes.partition_point(|at| *at < stretch.start);
        let within = self.successes[first..].iter().take_while(|at| **at < end);
        let mut longest = 0;
        let mut since = stretch.start;
        for until in within.copied().chain([end]) {
            let waits_since = due_from(since).unwrap_or(until);
            longest = longest.max(until.saturating_sub(waits_since));
            since = until;
        }
        longest
    }

    fn period(&self, stretch: &Stretch) -> Period {
        let due = &self.operations[self.due(stretch)];
        let ok = due.iter().filter(|operation| operation.ok).count() as u64;
        Period {
            ok,
            errors: Rate::new(due.len() as u64 - ok, due.len() as u64),
            latency: quantiles(due),
        }
    }
}

fn quantiles(operations: &[Operation]) -> Quantiles {
    let mut histogram: Histogram<u32> = Histogram::new(3).expect("1 to 5 digits are allowed");
    let mut max_us = 0;
    for operation in operations.iter().filter(|operation| operation.ok) {
        let Some(completed_ns) = operation.completed_ns else {
            continue;
        };
        let latency_us = completed_ns.saturating_sub(operation.due_ns) / 1_000;
        max_us = max_us.max(latency_us);
        let recorded = match operation.interval_ns {
            // The histogram counts in microseconds: a shorter interval would never end.
            Some(interval_ns) => histogram.record_correct(latency_us, (interval_ns / 1_000).max(1)),
            None => histogram.record(latency_us),
        };
        recorded.expect("a histogram without upper bound grows as needed");
    }
    // The histogram answers with the upper end of a bucket.
    let quantile = |q| histogram.value_at_quantile(q).min(max_us);
    Quantiles {
        p50_us: quantile(0.5),
        p90_us: quantile(0.9),
        p99_us: quantile(0.99),
        max_us,
    }
}

#[cfg(test)]
mod tests;
