//! The drain: every write admitted before a phase settles, or is marked failed; then a fence keeps late ones out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::cleanup;
use super::patience::Patience;
use super::sources::enough;
use super::state::Migration;
use crate::log;
use crate::peer::PeerError;
use crate::router::{Cluster, StuckWrites};

/// Code of a drain that waits for stuck writes.
const DRAIN_TIMEOUT: &str = "DrainTimeout";

/// Waits for the writes and fences the nodes. An operator may have to mark stuck writes failed first.
pub(crate) async fn drain(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    #[cfg(feature = "planted-bugs")]
    if super::planted::drains_badly(cluster, migration).await {
        return Ok(());
    }
    settle(cluster, migration).await;
    fence_sources(cluster, migration).await?;
    Ok(())
}

/// Keeps what was marked failed from reaching NEW later.
pub(crate) async fn fence_new(
    cluster: &Arc<Cluster>,
    migration: &Migration,
) -> Result<(), PeerError> {
    let mut patience = limited(cluster);
    while let Err(error) = cleanup::fence_new(cluster, migration).await {
        patience.or_give_up(error).await?;
    }
    Ok(())
}

/// As long as preparations, fences and the delta pass may take.
pub(crate) fn limited(cluster: &Cluster) -> Patience {
    Patience::limited(Duration::from_millis(
        cluster.config.migration.delta_timeout_ms,
    ))
}

async fn settle(cluster: &Arc<Cluster>, migration: &Migration) {
    let (shards, term) = (migration.shards(), migration.phase_term);
    let underway = &cluster.table.underway;
    let limit = Duration::from_millis(cluster.config.migration.drain_timeout_ms);
    if tokio::time::timeout(limit, underway.drained(term, &shards))
        .await
        .is_ok()
    {
        return;
    }
    let pending = underway.pending(term, &shards);
    let policy = cluster.config.migration.stuck_writes;
    cluster.metrics.drain_timeouts.inc();
    log::event(
        "drain_timeout",
        &[
            ("migration", json!(migration.id)),
            ("error", json!(DRAIN_TIMEOUT)),
            ("pending", json!(pending.len())),
            ("stuck_writes", json!(policy)),
        ],
    );
    if policy == StuckWrites::Fail {
        underway.fail(&pending);
    }
    let coordinator = &cluster.coordinator;
    coordinator.progress.set_stuck(migration.id, true);
    underway.drained(term, &shards).await;
    coordinator.progress.set_stuck(migration.id, false);
    log::event("drained", &[("migration", json!(migration.id))]);
}

/// Fences all sources; of several replicas, enough that every acknowledged write is on one that is fenced.
async fn fence_sources(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let mut left = migration.sources();
    let mut fenced = BTreeSet::new();
    let mut patience = limited(cluster);
    for round in 0.. {
        let mut last_error = None;
        let mut failed = Vec::new();
        for (node, shards) in left {
            let fence = cluster.fence(shards.clone(), migration.phase_term);
            match cluster.peers.get(&node).fence(&fence).await {
                Ok(_) => {
                    fenced.insert(node);
                }
                Err(error) => {
                    last_error = Some(error);
                    failed.push((node, shards));
                }
            }
        }
        let Some(error) = last_error else { break };
        let dispensable = cluster
            .state
            .read(|s| migration.moves.iter().all(|m| enough(s, m, &fenced)));
        if round > 0 && dispensable {
            log::warn(&format!("a source is left out: {error}"));
            break;
        }
        patience.or_give_up(error).await?;
        left = failed;
    }
    Ok(())
}
