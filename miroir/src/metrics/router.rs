//! What the router counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::{Labels, SECONDS, answer, catch_up, label};
use crate::router::Cluster;
use crate::wire::error::{ApiError, Outcome};

/// The router's metrics.
pub(crate) struct RouterMetrics {
    registry: Registry,
    writes: Family<Labels, Counter>,
    write_seconds: Histogram,
    degraded: Counter,
    in_flight: Gauge,
    stuck: Gauge,
    migrations: Family<Labels, Gauge>,
    shards_moving: Gauge,
    /// Documents carried by background copies.
    pub(crate) copied: Counter,
    /// Records completed by delta passes.
    pub(crate) delta: Counter,
    /// Drains that ran out of time.
    pub(crate) drain_timeouts: Counter,
    passes: Counter,
    divergent: Counter,
    repaired: Counter,
    alerts: Counter,
    purged: Counter,
    delivered: Counter,
    suppressed: Counter,
}

impl RouterMetrics {
    /// All at zero.
    pub(crate) fn new() -> Self {
        let mut metrics = RouterMetrics {
            registry: Registry::with_prefix("miroir"),
            writes: Family::default(),
            write_seconds: Histogram::new(SECONDS),
            degraded: Counter::default(),
            in_flight: Gauge::default(),
            stuck: Gauge::default(),
            migrations: Family::default(),
            shards_moving: Gauge::default(),
            copied: Counter::default(),
            delta: Counter::default(),
            drain_timeouts: Counter::default(),
            passes: Counter::default(),
            divergent: Counter::default(),
            repaired: Counter::default(),
            alerts: Counter::default(),
            purged: Counter::default(),
            delivered: Counter::default(),
            suppressed: Counter::default(),
        };
        metrics.register();
        for outcome in ["acknowledged", "refused", "unknown"] {
            let _ = metrics.writes.get_or_create(&label("outcome", outcome));
        }
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "writes",
            "Client write requests, by outcome",
            self.writes.clone(),
        );
        r.register(
            "write_seconds",
            "Duration of client write requests",
            self.write_seconds.clone(),
        );
        r.register(
            "writes_in_flight",
            "Client writes under way",
            self.in_flight.clone(),
        );
        r.register(
            "migrations",
            "Migrations, by phase",
            self.migrations.clone(),
        );
        r.register(
            "shards_moving",
            "Shards of open migrations",
            self.shards_moving.clone(),
        );
        r.register(
            "writes_stuck",
            "Client writes under way for longer than a drain waits",
            self.stuck.clone(),
        );
        let counters = [
            (
                "degraded_writes",
                "Acknowledged writes that some owner had not acknowledged",
                &self.degraded,
            ),
            (
                "documents_copied",
                "Documents carried by background copies",
                &self.copied,
            ),
            (
                "delta_documents",
                "Records completed by delta passes",
                &self.delta,
            ),
            (
                "drain_timeouts",
                "Drains that ran out of time",
                &self.drain_timeouts,
            ),
            (
                "anti_entropy_passes",
                "Anti-entropy passes ended",
                &self.passes,
            ),
            (
                "anti_entropy_divergent_keys",
                "Divergent records found",
                &self.divergent,
            ),
            ("anti_entropy_repaired", "Records repaired", &self.repaired),
            (
                "anti_entropy_alerts",
                "Divergent shards reported, not repaired",
                &self.alerts,
            ),
            (
                "tombstones_purged",
                "Copies of tombstones forgotten",
                &self.purged,
            ),
            (
                "changes_delivered",
                "Changes delivered by the feed",
                &self.delivered,
            ),
            (
                "changes_suppressed",
                "Repairs and copies left out of the feed",
                &self.suppressed,
            ),
        ];
        for (name, help, counter) in counters {
            r.register(name, help, counter.clone());
        }
    }

    /// Counts a client write.
    pub(crate) fn write<T>(&self, result: &Result<T, ApiError>, degraded: bool, took: Duration) {
        let outcome = match result {
            Ok(_) => "acknowledged",
            Err(error) if error.outcome == Some(Outcome::None) => "refused",
            Err(_) => "unknown",
        };
        self.writes.get_or_create(&label("outcome", outcome)).inc();
        self.degraded.inc_by(u64::from(degraded));
        self.write_seconds.observe(took.as_secs_f64());
    }

    fn refresh(&self, cluster: &Cluster) {
        let free = cluster.permits.available_permits();
        self.in_flight
            .set(i64::try_from(cluster.config.max_writes.saturating_sub(free)).unwrap_or(i64::MAX));
        let limit = Duration::from_millis(cluster.config.migration.drain_timeout_ms);
        let stuck = cluster.table.underway.older_than(limit).len();
        self.stuck.set(i64::try_from(stuck).unwrap_or(i64::MAX));
        let (phases, moving) = cluster.state.read(|s| {
            let mut phases: BTreeMap<String, i64> = BTreeMap::new();
            for m in &s.migrations {
                let phase: Value = json!(m.phase);
                *phases
                    .entry(phase.as_str().unwrap_or_default().to_owned())
                    .or_default() += 1;
            }
            let open = s.migrations.iter().filter(|m| m.is_open());
            (phases, open.map(|m| m.moves.len()).sum::<usize>())
        });
        self.migrations.clear();
        for (phase, count) in phases {
            self.migrations
                .get_or_create(&label("phase", &phase))
                .set(count);
        }
        self.shards_moving
            .set(i64::try_from(moving).unwrap_or(i64::MAX));
        let totals = cluster.anti_entropy.totals();
        catch_up(&self.passes, totals.passes);
        catch_up(&self.divergent, totals.divergent_keys);
        catch_up(&self.repaired, totals.repaired);
        catch_up(&self.alerts, totals.alerts);
        catch_up(&self.purged, totals.purged);
        catch_up(
            &self.delivered,
            cluster.feed.delivered.load(Ordering::Relaxed),
        );
        catch_up(
            &self.suppressed,
            cluster.feed.suppressed.load(Ordering::Relaxed),
        );
    }
}

/// `GET /metrics`.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/metrics", get(show))
        .with_state(cluster)
}

async fn show(State(cluster): State<Arc<Cluster>>) -> Response {
    cluster.metrics.refresh(&cluster);
    answer(&cluster.metrics.registry)
}
