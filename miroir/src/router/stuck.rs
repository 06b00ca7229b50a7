//! Writes that do not settle: listing them, and marking them failed so that they never land later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::coordinator::Patience;
use crate::log;
use crate::wire::error::ApiError;

/// Body of `POST /_miroir/writes/fail`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailRequest {
    /// These.
    #[serde(default)]
    pub(crate) ids: Vec<u64>,
    /// All that are older than the drain's time-out.
    #[serde(default)]
    pub(crate) stuck: bool,
    /// All that are older than so many milliseconds.
    #[serde(default)]
    pub(crate) older_than_ms: Option<u64>,
}

/// Query of `GET /_miroir/writes`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    stuck: bool,
    older_than_ms: Option<u64>,
}

/// Writes under way, oldest first.
pub(crate) fn list(cluster: &Cluster, query: &ListQuery) -> Value {
    let age = age(cluster, query.stuck, query.older_than_ms).unwrap_or(Duration::ZERO);
    json!({"writes": cluster.table.underway.list(age)})
}

/// Marks writes failed: their clients are told that the outcome is unknown, and the nodes refuse them from the
/// moment they have been fenced, which is retried until it is done.
pub(crate) fn fail(cluster: &Arc<Cluster>, request: &FailRequest) -> Result<Value, ApiError> {
    cluster.check_serving()?;
    let underway = &cluster.table.underway;
    let mut ids = request.ids.clone();
    if let Some(age) = age(cluster, request.stuck, request.older_than_ms) {
        ids.extend(underway.older_than(age));
    }
    let failed = underway.fail(&ids);
    if failed.is_empty() && !request.ids.is_empty() {
        return Err(ApiError::not_found(
            "write_not_found",
            "none of these writes is under way",
        ));
    }
    let failed_ids: Vec<u64> = failed.iter().map(|e| e.id()).collect();
    if !failed.is_empty() {
        let mut shards: Vec<u32> = failed.iter().flat_map(|e| e.shards.clone()).collect();
        shards.sort_unstable();
        shards.dedup();
        // Writes admitted from here on carry a later term than those that were marked.
        let term = cluster
            .state
            .update(|s| {
                s.term += 1;
                s.term
            })
            .map_err(|e| ApiError::internal(e.to_string()))?;
        cluster.reroute();
        fence_off(cluster, &shards, term);
    }
    log::event("writes_failed", &[("ids", json!(failed_ids))]);
    Ok(json!({"failed": failed_ids}))
}

fn age(cluster: &Cluster, stuck: bool, older_than_ms: Option<u64>) -> Option<Duration> {
    let limit = stuck.then_some(cluster.config.migration.drain_timeout_ms);
    older_than_ms.or(limit).map(Duration::from_millis)
}

fn fence_off(cluster: &Arc<Cluster>, shards: &[u32], term: u64) {
    let route = cluster.table.current();
    let mut nodes: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for &shard in shards {
        let class = route.shard(shard);
        let owners = class.groups.iter().flat_map(|g| &g.nodes);
        let new = class.moving.iter().flat_map(|m| &m.to);
        for peer in owners.chain(new) {
            nodes.entry(peer.name.clone()).or_default().push(shard);
        }
    }
    for (node, shards) in nodes {
        let cluster = Arc::clone(cluster);
        tokio::spawn(async move {
            let peer = cluster.peers.get(&node);
            let fence = cluster.fence(shards, term);
            let mut patience = Patience::endless();
            while let Err(error) = peer.fence(&fence).await {
                if cluster.identity.is_superseded() {
                    return;
                }
                let _ = patience.or_give_up(error).await;
            }
        });
    }
}
