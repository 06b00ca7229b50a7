//! The coordinator's planted bugs, for negative controls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::drive::enter;
use super::state::{Migration, Move, Phase};
use crate::log;
use crate::peer::{Peer, PeerError, Stamped};
use crate::planted::{Bug, planted};
use crate::router::Cluster;
use crate::wire::document::stamp_of;
use crate::wire::message::Page;

/// `delta_from_memory`: copies only what this process remembers as failed on NEW.
pub(crate) async fn copy_remembered(
    cluster: &Cluster,
    shard: u32,
    source: &Peer,
    to: &Peer,
) -> Result<(), PeerError> {
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
        .await
        .map(drop)
}

/// `copy_skips_inserts`: what was written since the dual write began is left to the dual write.
pub(crate) fn without_later_writes(cluster: &Cluster, migration: u64, mut page: Page) -> Page {
    static BEGUN: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());
    if planted(Bug::CopySkipsInserts) {
        let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = *begun.entry(migration).or_insert_with(|| cluster.hlc.now());
        page.results.retain(|d| stamp_of(d) <= begun);
    }
    page
}

/// `no_drain` and `drain_counts_first`: goes on with writes still under way, and takes the fence for needless.
pub(crate) async fn drains_badly(cluster: &Cluster, migration: &Migration) -> bool {
    if planted(Bug::DrainCountsFirst) {
        let underway = &cluster.table.underway;
        let pending = underway.pending(migration.phase_term, &migration.shards());
        underway.settled(&pending[..pending.len().min(1)]).await;
        return true;
    }
    planted(Bug::NoDrain)
}

/// `route_before_delta`: the routing has switched already, and the delta pass asks it where the documents are.
pub(crate) fn take_sources_from_routing(cluster: &Cluster, step: &Move, sources: &mut Vec<String>) {
    if planted(Bug::RouteBeforeDelta) {
        *sources = cluster
            .state
            .read(|s| s.owners[step.shard as usize].clone());
    }
}

/// `recovery_wrong_phase`: an unfinished migration is taken for one that was about to activate.
pub(crate) fn recover_in_the_wrong_phase(cluster: &Arc<Cluster>, id: u64) {
    let phase = cluster.state.migration(id).map(|m| m.phase);
    let unfinished =
        phase.is_some_and(|p| p.is_before_activation() && p != Phase::ComputingAssignments);
    if planted(Bug::RecoveryWrongPhase)
        && unfinished
        && let Err(error) = enter(cluster, id, Phase::CutoverActivate)
    {
        log::warn(&error.to_string());
    }
}
