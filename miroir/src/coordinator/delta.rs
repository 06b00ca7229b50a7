//! The delta pass: with writes held and OLD fenced, everything OLD holds is compared with NEW and completed there.
//! Nothing remembered is relied on: a crash may have forgotten any of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::drain::limited;
use super::patience::Patience;
use super::sources::enough;
use super::state::{Migration, Move};
use crate::anti_entropy::reconcile;
use crate::log;
use crate::peer::PeerError;
use crate::router::Cluster;

/// Completes NEW, and compares again until nothing is missing. Fails when that takes longer than `delta_timeout_ms`.
pub(crate) async fn run(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let mut patience = limited(cluster);
    let mut copied = 0;
    let mut absent = BTreeSet::new();
    for step in &migration.moves {
        copied += complete(cluster, migration, step, &mut absent, &mut patience).await?;
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

/// Completes one shard from all sources. A replica that cannot be reached is left out (and added to `absent`) when
/// the others are enough.
async fn complete(
    cluster: &Arc<Cluster>,
    migration: &Migration,
    step: &Move,
    absent: &mut BTreeSet<String>,
    patience: &mut Patience,
) -> Result<u64, PeerError> {
    let mut left = step.sources.clone();
    #[cfg(feature = "planted-bugs")]
    super::planted::take_sources_from_routing(cluster, step, &mut left);
    let mut read = BTreeSet::new();
    let mut copied = 0;
    loop {
        let mut failed = Vec::new();
        let mut last_error = None;
        for source in left {
            if absent.contains(&source) && is_enough(cluster, step, &read) {
                continue;
            }
            match complete_from(cluster, migration, step, &source).await {
                Ok(missing) => {
                    // Writers wait meanwhile: the next shard must not pay for this one's failures.
                    patience.renew();
                    copied += missing;
                    if missing == 0 {
                        read.insert(source);
                    } else {
                        failed.push(source);
                    }
                }
                Err(error) => {
                    if is_enough(cluster, step, &read) && !absent.insert(source.clone()) {
                        log::warn(&format!("a source is left out: {error}"));
                        continue;
                    }
                    last_error = Some(error);
                    failed.push(source);
                }
            }
        }
        if failed.is_empty() {
            return Ok(copied);
        }
        if let Some(error) = last_error {
            patience.or_give_up(error).await?;
        }
        left = failed;
    }
}

fn is_enough(cluster: &Cluster, step: &Move, read: &BTreeSet<String>) -> bool {
    cluster.state.read(|s| enough(s, step, read))
}

/// Carries over what any target lacks; 0 when none lacks anything.
async fn complete_from(
    cluster: &Arc<Cluster>,
    migration: &Migration,
    step: &Move,
    source: &str,
) -> Result<u64, PeerError> {
    let index = &cluster.config.index;
    let from = cluster.peers.get(source);
    let mut copied = 0;
    for target in step.targets().iter().filter(|t| *t != source) {
        let to = cluster.peers.get(target);
        #[cfg(feature = "planted-bugs")]
        if crate::planted::planted(crate::planted::Bug::DeltaFromMemory) {
            super::planted::copy_remembered(cluster, step.shard, &from, &to).await?;
            continue;
        }
        let writer = cluster.writer();
        let missing = reconcile(index, step.shard, &from, &to, writer).await?;
        cluster
            .coordinator
            .progress
            .update(migration.id, step.shard, |p| p.delta += missing);
        cluster.metrics.delta.inc_by(missing);
        copied += missing;
    }
    Ok(copied)
}
