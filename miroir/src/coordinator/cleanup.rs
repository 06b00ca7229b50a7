//! Removing what a migration leaves behind: the moved shards on OLD, or NEW's copies after it was given up.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::drain::limited;
use super::patience::Patience;
use super::state::{Intent, Migration};
use crate::anti_entropy::reconcile;
use crate::log;
use crate::peer::PeerError;
use crate::router::Cluster;

/// Removes the moved shards from the owners that gave them up. Retried for ever, except on nodes that are forgotten
/// anyway: those may be gone for good.
pub(crate) async fn clean_old(cluster: &Arc<Cluster>, migration: &Migration) {
    let forgotten = matches!(
        migration.intent,
        Intent::RemoveNode(_) | Intent::RemoveGroup(_)
    );
    let mut gone = BTreeSet::new();
    for step in &migration.moves {
        for node in &step.leaving {
            if gone.contains(node) {
                continue;
            }
            let patience = if forgotten {
                limited(cluster)
            } else {
                Patience::endless()
            };
            if let Err(error) = drop_shard(cluster, node, step.shard, patience).await {
                log::warn(&format!(
                    "node {node} keeps what it held when it was removed: {error}"
                ));
                gone.insert(node.clone());
            }
        }
    }
}

/// Fences NEW and removes the shards it was to get. Retried for ever.
pub(crate) async fn discard_new(cluster: &Arc<Cluster>, migration: &Migration) {
    let mut patience = Patience::endless();
    while let Err(error) = give_back(cluster, migration).await {
        log::warn(&format!("NEW still holds shards it does not own: {error}"));
        let _ = patience.or_give_up(error).await;
    }
}

async fn give_back(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    fence_new(cluster, migration).await?;
    if migration.keeps_copies {
        // It may hold what its successors never got.
        for step in &migration.moves {
            for node in &step.joining {
                for owner in &step.before {
                    let (from, to) = (cluster.peers.get(node), cluster.peers.get(owner));
                    let index = &cluster.config.index;
                    let writer = cluster.writer();
                    while reconcile(index, step.shard, &from, &to, writer).await? > 0 {}
                }
            }
        }
    }
    drop_new(cluster, migration).await
}

/// Fences NEW against everything sent before this phase, and removes the shards it is to get, unless it keeps them.
pub(crate) async fn empty_new(
    cluster: &Arc<Cluster>,
    migration: &Migration,
) -> Result<(), PeerError> {
    fence_new(cluster, migration).await?;
    if migration.keeps_copies {
        return Ok(());
    }
    drop_new(cluster, migration).await
}

/// Keeps everything sent before this phase away from NEW.
pub(crate) async fn fence_new(
    cluster: &Arc<Cluster>,
    migration: &Migration,
) -> Result<(), PeerError> {
    for (node, shards) in migration.joining() {
        let fence = cluster.fence(shards, migration.phase_term);
        cluster.peers.get(&node).fence(&fence).await?;
    }
    Ok(())
}

async fn drop_new(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    for (node, shards) in migration.joining() {
        for shard in shards {
            let (peer, writer) = (cluster.peers.get(&node), cluster.writer());
            peer.drop_shard(&cluster.config.index, shard, writer)
                .await?;
        }
    }
    Ok(())
}

async fn drop_shard(
    cluster: &Arc<Cluster>,
    node: &str,
    shard: u32,
    mut patience: Patience,
) -> Result<(), PeerError> {
    let peer = cluster.peers.get(node);
    while let Err(error) = peer
        .drop_shard(&cluster.config.index, shard, cluster.writer())
        .await
    {
        log::warn(&format!("shard {shard} is not cleaned up yet: {error}"));
        patience.or_give_up(error).await?;
    }
    Ok(())
}
