//! `GET /_miroir/changes`: client writes since a cursor.
//!
//! Guarantee: every acknowledged write is delivered at least once, and a key's writes in the order of their stamps. A
//! change may come again, with the same stamp, when a replica logs it later than another. All nodes must answer: a
//! change that only an unreachable node has logged would otherwise come too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::cursor::{Cursor, Position};
use super::merge::merge;
use crate::router::Cluster;
use crate::wire::error::ApiError;
use crate::wire::message::{Change, ChangeLog, Origin};

/// Changes in an answer unless told, and at most.
const LIMIT: (usize, usize) = (1000, 10_000);
/// Changes read from each node at least, so that small answers are in order, too.
const READ_AHEAD: usize = 1000;

/// Sums since the router began.
#[derive(Debug, Default)]
pub(crate) struct FeedCounts {
    /// Changes delivered.
    pub(crate) delivered: AtomicU64,
    /// Repairs and copies left out.
    pub(crate) suppressed: AtomicU64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangesQuery {
    since: Option<String>,
    limit: Option<usize>,
    include: Option<String>,
}

/// All routes.
pub(crate) fn routes(cluster: Arc<Cluster>) -> Router {
    Router::new()
        .route("/_miroir/changes", get(changes))
        .with_state(cluster)
}

async fn changes(
    State(cluster): State<Arc<Cluster>>,
    query: Result<Query<ChangesQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query?;
    let repairs = match query.include.as_deref() {
        None => false,
        Some("repairs") => true,
        Some(other) => {
            let message = format!("include={other}: only `repairs` can be included");
            return Err(ApiError::bad_request("bad_request", message));
        }
    };
    let cursor = query.since.filter(|s| !s.is_empty());
    let cursor = cursor
        .map(|text| {
            Cursor::decode(&text).ok_or_else(|| {
                ApiError::bad_request("invalid_cursor", "`since` is not a cursor of this feed")
            })
        })
        .transpose()?;
    let limit = query.limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1);
    let logs = read_all(&cluster, cursor.as_ref(), limit.max(READ_AHEAD)).await?;
    let identities: Vec<(String, u64)> = logs
        .iter()
        .map(|(name, _, log)| (name.clone(), log.log))
        .collect();
    let parts = logs.into_iter().map(|(_, from, log)| (from, log)).collect();
    let merged = merge(parts, limit, |change| repairs || is_shown(change));
    let positions = identities
        .into_iter()
        .zip(merged.next)
        .map(|((name, log), next)| (name, Position { log, next }));
    let cursor = Cursor(positions.collect());
    let counts = &cluster.feed;
    counts
        .delivered
        .fetch_add(merged.changes.len() as u64, Ordering::Relaxed);
    counts
        .suppressed
        .fetch_add(merged.suppressed, Ordering::Relaxed);
    Ok(Json(json!({
        "changes": merged.changes.iter().map(describe).collect::<Vec<_>>(),
        "cursor": cursor.encode(),
        "more": merged.more,
        "suppressed": merged.suppressed,
    })))
}

/// Client writes, and the ends of documents' lives as clients have set them.
fn is_shown(change: &Change) -> bool {
    matches!(change.origin, Origin::Client | Origin::Expiry)
}

fn describe(change: &Change) -> Value {
    json!({
        "id": change.id,
        "type": if change.deleted { "delete" } else { "upsert" },
        "stamp": change.stamp,
        "origin": change.origin,
    })
}

/// A part of each node's log, by name, with where it begins.
async fn read_all(
    cluster: &Arc<Cluster>,
    cursor: Option<&Cursor>,
    limit: usize,
) -> Result<Vec<(String, u64, ChangeLog)>, ApiError> {
    let peers = cluster.known_nodes();
    let known = |name: &String| peers.iter().any(|p| p.name == *name);
    if let Some(gone) = cursor.and_then(|c| c.0.keys().find(|name| !known(name))) {
        return Err(expired(&format!("node `{gone}` has left the cluster")));
    }
    let mut reading = JoinSet::new();
    for peer in peers {
        let position = cursor.and_then(|c| c.0.get(&peer.name).copied());
        reading.spawn(async move {
            let from = position.map_or(0, |p| p.next);
            let log = peer.changes(from, limit).await;
            (peer.name.clone(), position, log)
        });
    }
    let mut logs = Vec::new();
    while let Some(read) = reading.join_next().await {
        let (name, position, log) = read.map_err(|e| ApiError::internal(e.to_string()))?;
        let log = log.map_err(|e| ApiError::unavailable("changes_unavailable", e.to_string()))?;
        let from = match (cursor, position) {
            (None, _) => log.first,
            (Some(_), None) => 0,
            (Some(_), Some(position)) if position.log != log.log => {
                return Err(expired(&format!("node `{name}` has lost its data")));
            }
            (Some(_), Some(position)) => position.next,
        };
        if from < log.first {
            return Err(expired(&format!(
                "node `{name}` does not keep changes that old any more"
            )));
        }
        logs.push((name, from, log));
    }
    logs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(logs)
}

fn expired(why: &str) -> ApiError {
    let message = format!("{why}: read all documents again, then begin without `since`");
    ApiError::new(StatusCode::GONE, "cursor_expired", message)
}
