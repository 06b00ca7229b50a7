//! A planted bug, for negative controls: the delta pass believes the router's memory instead of comparing the nodes.

use std::sync::PoisonError;

use crate::peer::{Peer, PeerError, Stamped};
use crate::router::Cluster;

/// Copies only what this process remembers as failed on NEW.
pub(crate) async fn copy_remembered(
    cluster: &Cluster,
    shard: u32,
    source: &Peer,
    to: &Peer,
) -> Result<u64, PeerError> {
    let ids: Vec<String> = {
        let failed = cluster
            .failed_on_new
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed
            .iter()
            .filter(|(s, _)| *s == shard)
            .map(|(_, id)| id.clone())
            .collect()
    };
    let page = source.by_ids(&cluster.config.index, &ids).await?;
    let records = Stamped {
        documents: page.results,
        tombstones: page.tombstones,
    };
    to.carry(&cluster.config.index, records, cluster.writer())
        .await?;
    Ok(ids.len() as u64)
}
