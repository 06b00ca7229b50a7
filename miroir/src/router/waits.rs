//! How long writes waited for a cutover.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longer waits count as this: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// A histogram of waits in microseconds.
pub(crate) struct Waits(Mutex<Histogram<u64>>);

impl Waits {
    /// Without any wait yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3);
        Waits(Mutex::new(
            histogram.expect("bounds and three digits are valid"),
        ))
    }

    /// Adds one.
    pub(crate) fn record(&self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(micros);
    }

    /// Count, median, 99th percentile and maximum, in milliseconds.
    pub(crate) fn summary(&self) -> Value {
        let histogram = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |micros: u64| micros as f64 / 1000.0;
        json!({
            "count": histogram.len(),
            "p50_ms": ms(histogram.value_at_quantile(0.5)),
            "p99_ms": ms(histogram.value_at_quantile(0.99)),
            "max_ms": ms(histogram.max()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_come_back_in_milliseconds() {
        let waits = Waits::new();
        for ms in [1, 20, 300] {
            waits.record(Duration::from_millis(ms));
        }
        let summary = waits.summary();
        assert_eq!(summary["count"], 3);
        let near = |key: &str, ms: f64| (summary[key].as_f64().unwrap() / ms - 1.0).abs() < 0.002;
        assert!(near("p50_ms", 20.0) && near("max_ms", 300.0), "{summary}");
    }
}
