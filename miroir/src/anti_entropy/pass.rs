//! One pass over all shards, between all owners, and from former owners that still hold a shard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::reconcile::{Tie, missing, reconcile};
use crate::coordinator::{Migration, Patience, Phase};
use crate::log;
use crate::peer::{Peer, PeerError, Writer};
use crate::router::Cluster;
use crate::wire::message::Origin;

/// How long an unreachable node is tried again, for each comparison.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a pass found and did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Whether every comparison was made, and everything found was repaired.
    pub(crate) complete: bool,
    /// Shards compared.
    pub(crate) shards: u32,
    /// Shards with a divergence.
    pub(crate) divergent_shards: u32,
    /// Records some owner lacked or held older.
    pub(crate) divergent_keys: u64,
    /// Records repaired.
    pub(crate) repaired: u64,
    /// Comparisons that failed.
    pub(crate) errors: Vec<String>,
    /// Duration of the pass.
    pub(crate) duration_ms: u64,
}

/// Runs a pass, and tells a migration that waits for it.
pub(crate) async fn run_pass(cluster: &Arc<Cluster>) -> Report {
    let begun = Instant::now();
    // A pass counts for what had been activated when it began.
    let awaiting = cluster
        .state
        .read(|s| s.migrations.last().filter(|m| awaits(m)).map(|m| m.id));
    let mut report = Report {
        shards: cluster.config.shards,
        ..Report::default()
    };
    for shard in 0..cluster.config.shards {
        let mut divergent = 0;
        for (source, target) in pairs(cluster, shard) {
            match compare(cluster, shard, &source, &target).await {
                Ok(found) => divergent += found,
                Err(error) => report.errors.push(format!("shard {shard}: {error}")),
            }
        }
        report.divergent_shards += u32::from(divergent > 0);
        report.divergent_keys += divergent;
    }
    let repairs = cluster.config.repairs();
    report.repaired = if repairs { report.divergent_keys } else { 0 };
    report.complete = report.errors.is_empty() && (repairs || report.divergent_keys == 0);
    report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    log::event("anti_entropy", &[("report", json!(report))]);
    if let Some(id) = awaiting.filter(|_| report.complete) {
        tell(cluster, id);
    }
    report
}

/// Runs passes at the configured interval, if there is one.
pub(crate) async fn run_periodically(cluster: &Arc<Cluster>) {
    let config = &cluster.config.anti_entropy;
    let Some(interval) = config.interval_s.filter(|_| config.enabled) else {
        return;
    };
    loop {
        tokio::time::sleep(Duration::from_secs(interval.max(1))).await;
        run_pass(cluster).await;
    }
}

fn awaits(migration: &Migration) -> bool {
    migration.awaits_anti_entropy && retains(migration)
}

/// Whether the owners that gave shards up still hold them.
fn retains(migration: &Migration) -> bool {
    matches!(
        migration.phase,
        Phase::CutoverActivate | Phase::CutoverCleanup
    )
}

fn tell(cluster: &Cluster, id: u64) {
    let told = cluster.state.update(|s| {
        if let Some(m) = s.migrations.iter_mut().find(|m| m.id == id) {
            m.repaired = true;
        }
    });
    match told {
        Ok(()) => cluster.coordinator.wake(),
        Err(error) => log::warn(&format!("the repair could not be recorded: {error}")),
    }
}

/// Every comparison of a shard: each holder as the source, each owner as the target.
fn pairs(cluster: &Cluster, shard: u32) -> Vec<(Arc<Peer>, Arc<Peer>)> {
    let (owners, mut holders) = cluster.state.read(|s| {
        let owners = s.owners[shard as usize].clone();
        let retained = s.migrations.last().filter(|m| retains(m));
        let former = retained
            .and_then(|m| m.moves.iter().find(|step| step.shard == shard))
            .map(|step| step.leaving.clone());
        (owners.clone(), former.into_iter().collect::<Vec<_>>())
    });
    holders.extend(owners.iter().cloned());
    let pairs = owners.iter().flat_map(|target| {
        holders
            .iter()
            .filter(move |source| *source != target)
            .map(move |s| (s, target))
    });
    pairs
        .map(|(source, target)| (cluster.peers.get(source), cluster.peers.get(target)))
        .collect()
}

async fn compare(
    cluster: &Cluster,
    shard: u32,
    source: &Peer,
    target: &Peer,
) -> Result<u64, PeerError> {
    let index = &cluster.config.index;
    let mut patience = Patience::limited(PATIENCE);
    let mut repaired = 0;
    loop {
        let found = if cluster.config.repairs() {
            let writer = Writer {
                origin: Origin::AntiEntropy,
                ..cluster.writer()
            };
            reconcile(index, shard, source, target, writer, Tie::GreaterHash).await
        } else {
            missing(index, shard, source, target, Tie::GreaterHash)
                .await
                .map(|m| m.len() as u64)
        };
        match found {
            Ok(found) if found == 0 || !cluster.config.repairs() => return Ok(repaired + found),
            // Compared again, until nothing is found.
            Ok(found) => {
                patience.renew();
                repaired += found;
            }
            Err(error) => patience.or_give_up(error).await?,
        }
    }
}
