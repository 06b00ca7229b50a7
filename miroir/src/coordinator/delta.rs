//! The delta pass: with writes held and OLD fenced, everything OLD holds is compared with NEW and completed there.
//! Nothing remembered is relied on: a crash may have forgotten any of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::patience::Patience;
use super::state::Migration;
use crate::anti_entropy::reconcile;
use crate::log;
use crate::peer::PeerError;
use crate::router::Cluster;

/// Completes NEW, and compares again until nothing is missing. Fails when that takes longer than `delta_timeout_ms`.
pub(crate) async fn run(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let mut patience = Patience::limited(Duration::from_millis(
        cluster.config.migration.delta_timeout_ms,
    ));
    let mut copied = 0;
    for step in &migration.moves {
        for source in &step.sources {
            copied += complete(cluster, migration, step.shard, source, &mut patience).await?;
        }
    }
    log::event(
        "delta_done",
        &[
            ("migration", json!(migration.id)),
            ("copied", json!(copied)),
        ],
    );
    Ok(())
}

async fn complete(
    cluster: &Arc<Cluster>,
    migration: &Migration,
    shard: u32,
    source: &str,
    patience: &mut Patience,
) -> Result<u64, PeerError> {
    let (source, to) = (cluster.peers.get(source), cluster.peers.get(&migration.to));
    let mut copied = 0;
    loop {
        #[cfg(feature = "planted-bugs")]
        if crate::planted::planted(crate::planted::Bug::DeltaFromMemory) {
            match super::planted::copy_remembered(cluster, shard, &source, &to).await {
                Ok(copied) => return Ok(copied),
                Err(error) => {
                    patience.or_give_up(error).await?;
                    continue;
                }
            }
        }
        match reconcile(&cluster.config.index, shard, &source, &to, cluster.writer()).await {
            Ok(0) => {
                // Writers wait meanwhile: the next shard must not pay for this one's failures.
                patience.renew();
                return Ok(copied);
            }
            Ok(missing) => {
                patience.renew();
                copied += missing;
                cluster
                    .coordinator
                    .progress
                    .update(shard, |p| p.delta += missing);
            }
            Err(error) => patience.or_give_up(error).await?,
        }
    }
}
