//! Deleting documents that have expired, on every node. The tombstone carries the document's own stamp, and a tombstone
//! beats a document of the same stamp: so all nodes come to the same end, whoever is first, and any later write wins.

use std::time::Duration;

use serde_json::json;

use crate::log;
use crate::router::Cluster;
use crate::wire::stamp::millis_of;

/// Sweeps at the configured interval.
pub(crate) async fn sweep_expired(cluster: &Cluster) {
    let pause = Duration::from_secs(cluster.config.expiry.sweep_interval_s);
    loop {
        tokio::time::sleep(pause).await;
        sweep(cluster).await;
    }
}

/// Deletes what has expired by the router's clock; answers how many copies that were. Nodes that cannot be reached are
/// left for the next sweep.
pub(super) async fn sweep(cluster: &Cluster) -> u64 {
    let now_ms = millis_of(cluster.hlc.now());
    let mut expired = 0;
    for peer in cluster.known_nodes() {
        let swept = peer.expire(&cluster.config.index, now_ms, cluster.writer());
        if let Ok(count) = swept.await {
            expired += count;
        }
    }
    if expired > 0 {
        log::event("expired", &[("copies", json!(expired))]);
    }
    expired
}
