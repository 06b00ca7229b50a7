//! How long writes waited for a cutover.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// A histogram of waits in microseconds.
pub(crate) struct Waits(Mutex<Histogram<u64>>);

impl Waits {
    /// Without any wait yet.
    pub(crate) fn new() -> Self {
        Waits(Mutex::new(
            Histogram::new(3).expect("three significant digits are possible"),
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
