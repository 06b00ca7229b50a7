//! Anti-entropy in the router's admin API.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::journal::Report;
use super::pass::{Order, run_pass};
use super::schedule;
use crate::router::Cluster;
use crate::wire::error::ApiError;

type Shared = State<Arc<Cluster>>;

/// All routes.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/_miroir/anti-entropy", get(status))
        .route("/_miroir/anti-entropy/history", get(history))
        .route("/_miroir/anti-entropy/run", post(run))
        .route("/_miroir/anti-entropy/verify", post(verify))
        .with_state(cluster)
}

async fn status(State(cluster): Shared) -> Json<Value> {
    let config = &cluster.config.anti_entropy;
    let journal = &cluster.anti_entropy;
    let current = journal.current();
    let last = journal.history().pop();
    let shown = current.as_ref().or(last.as_ref());
    let scheduled = config.enabled && !config.schedule.is_empty();
    let next = scheduled.then(|| schedule::next(&config.schedule, &schedule::now()));
    Json(json!({
        "enabled": config.enabled,
        "auto_repair": config.auto_repair,
        "schedule": config.schedule,
        "next": next.flatten().map(|at| at.timestamp().to_string()),
        "running": current.is_some(),
        "shards": shown.map_or(0, |r| r.shards),
        "shards_done": shown.map_or(0, |r| r.shards_done),
        "divergent_keys": shown.map_or(0, |r| r.divergent_keys),
        "repaired": shown.map_or(0, |r| r.repaired),
        "totals": journal.totals(),
        "last": last,
    }))
}

async fn history(State(cluster): Shared) -> Json<Value> {
    Json(json!({"passes": cluster.anti_entropy.history()}))
}

async fn run(State(cluster): Shared) -> Result<Json<Report>, ApiError> {
    if !cluster.config.anti_entropy.enabled {
        return Err(ApiError::conflict(
            "anti_entropy_disabled",
            "anti-entropy is not enabled in the configuration",
        ));
    }
    pass(cluster, Order::Asked).await
}

/// Comparing changes nothing, so it is allowed even when anti-entropy is off.
async fn verify(State(cluster): Shared) -> Result<Json<Report>, ApiError> {
    pass(cluster, Order::Verify).await
}

/// The pass goes on if the client leaves.
async fn pass(cluster: Arc<Cluster>, order: Order) -> Result<Json<Report>, ApiError> {
    let report = tokio::spawn(async move { run_pass(&cluster, order).await }).await;
    report
        .map(Json)
        .map_err(|e| ApiError::internal(e.to_string()))
}
