//! Removing what a migration leaves behind: the moved shards on OLD, or NEW's copies after it was given up.

use std::sync::Arc;

use super::patience::Patience;
use super::state::Migration;
use crate::log;
use crate::peer::{Peer, PeerError};
use crate::router::Cluster;

/// Removes the moved shards from the owners that gave them up. Retried for ever.
pub(crate) async fn clean_old(cluster: &Arc<Cluster>, migration: &Migration) {
    for step in &migration.moves {
        drop_for_sure(cluster, &cluster.peers.get(&step.leaving), step.shard).await;
    }
}

/// Fences NEW and removes the shards it was to get. Retried for ever.
pub(crate) async fn discard_new(cluster: &Arc<Cluster>, migration: &Migration) {
    let mut patience = Patience::endless();
    while let Err(error) = empty_new(cluster, migration).await {
        log::warn(&format!("NEW still holds shards it does not own: {error}"));
        let _ = patience.or_give_up(error).await;
    }
}

/// Fences NEW against everything sent before now, and removes the shards it is to get, or was to get.
pub(crate) async fn empty_new(
    cluster: &Arc<Cluster>,
    migration: &Migration,
) -> Result<(), PeerError> {
    let to = cluster.peers.get(&migration.to);
    let shards = migration.shards();
    to.fence(&cluster.fence(shards.clone())).await?;
    for shard in shards {
        to.drop_shard(&cluster.config.index, shard, cluster.writer())
            .await?;
    }
    Ok(())
}

async fn drop_for_sure(cluster: &Arc<Cluster>, peer: &Peer, shard: u32) {
    let mut patience = Patience::endless();
    while let Err(error) = peer
        .drop_shard(&cluster.config.index, shard, cluster.writer())
        .await
    {
        log::warn(&format!("shard {shard} is not cleaned up yet: {error}"));
        let _ = patience.or_give_up(error).await;
    }
}
