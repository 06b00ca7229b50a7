//! What a node counts.

use std::time::Duration;

use axum::response::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Labels, SECONDS, answer, label};

/// What becomes of write requests.
const RESULTS: [&str; 5] = ["committed", "fenced", "queue_full", "disk_full", "failed"];

/// The node's metrics.
pub(crate) struct NodeMetrics {
    registry: Registry,
    writes: Family<Labels, Counter>,
    commit_seconds: Histogram,
    queued: Gauge,
    queued_bytes: Gauge,
    documents: Gauge,
    tombstones: Gauge,
    store_bytes: Gauge,
}

/// What is read off at the time of asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    /// Requests that wait for the writer, and their bytes.
    pub(crate) queued: (usize, usize),
    /// Live documents.
    pub(crate) documents: u64,
    /// Tombstones.
    pub(crate) tombstones: u64,
    /// Size of the database file.
    pub(crate) store_bytes: u64,
}

impl NodeMetrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let metrics = NodeMetrics {
            registry: Registry::with_prefix("miroir_node"),
            writes: Family::default(),
            commit_seconds: Histogram::new(SECONDS),
            queued: Gauge::default(),
            queued_bytes: Gauge::default(),
            documents: Gauge::default(),
            tombstones: Gauge::default(),
            store_bytes: Gauge::default(),
        };
        for result in RESULTS {
            let _ = metrics.writes.get_or_create(&label("result", result));
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("writes", "Write requests, by result", self.writes.clone());
        r.register(
            "commit_seconds",
            "Duration of commits",
            self.commit_seconds.clone(),
        );
        let gauges = [
            (
                "queue_length",
                "Requests that wait for the writer",
                &self.queued,
            ),
            (
                "queue_bytes",
                "Bytes of requests that wait for the writer",
                &self.queued_bytes,
            ),
            ("documents", "Live documents", &self.documents),
            ("tombstones", "Tombstones", &self.tombstones),
            (
                "store_bytes",
                "Size of the database file",
                &self.store_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            r.register(name, help, gauge.clone());
        }
        self
    }

    /// Counts requests that ended the same way: `committed`, or the reason of the refusal.
    pub(crate) fn wrote(&self, result: &str, requests: u64) {
        self.writes
            .get_or_create(&label("result", result))
            .inc_by(requests);
    }

    /// Counts a commit.
    pub(crate) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// `GET /metrics`.
    pub(crate) fn show(&self, levels: Levels) -> Response {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.queued.set(number(levels.queued.0 as u64));
        self.queued_bytes.set(number(levels.queued.1 as u64));
        self.documents.set(number(levels.documents));
        self.tombstones.set(number(levels.tombstones));
        self.store_bytes.set(number(levels.store_bytes));
        answer(&self.registry)
    }
}
