//! Carries a migration through its phases. Every phase can be entered again after a crash.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::patience::Patience;
use super::state::{GivenUp, Migration, Phase};
use super::store::StateError;
use super::{cleanup, copy, delta};
use crate::log;
use crate::peer::{Peer, PeerError};
use crate::router::Cluster;

/// Goes on from the persisted phase until there is nothing left to do.
pub(crate) async fn drive(cluster: Arc<Cluster>, id: u64) {
    while let Some(migration) = cluster.state.migration(id).filter(Migration::is_open) {
        let earliest =
            Instant::now() + Duration::from_millis(cluster.config.migration.phase_settle_ms);
        let next = match act(&cluster, &migration).await {
            Ok(Some(next)) => {
                tokio::time::sleep_until(earliest).await;
                enter(&cluster, id, next)
            }
            Ok(None) => finish_discard(&cluster, id),
            Err(error) => give_up(&cluster, &migration, &error.to_string()),
        };
        if let Err(error) = next {
            log::event("fatal", &[("message", json!(error.to_string()))]);
            std::process::exit(1);
        }
    }
}

/// The work of a phase; answers with the next phase.
async fn act(cluster: &Arc<Cluster>, migration: &Migration) -> Result<Option<Phase>, PeerError> {
    let progress = &cluster.coordinator.progress;
    let next = match migration.phase {
        Phase::ComputingAssignments => {
            progress.reset(&migration.shards(), "pending");
            prepare(cluster, migration).await?;
            Phase::DualWriteMigrating
        }
        Phase::DualWriteMigrating => {
            progress.reset(&migration.shards(), "pending");
            // Writes from before the dual write that settle after their page was read would miss the copy.
            drain(cluster, migration).await?;
            copy::copy_all(cluster, migration).await;
            cluster
                .coordinator
                .await_cutover(cluster, migration.id)
                .await;
            Phase::CutoverBegin
        }
        Phase::CutoverBegin => Phase::CutoverDraining,
        Phase::CutoverDraining => {
            progress.all("draining");
            drain(cluster, migration).await?;
            if migration.skip_delta_pass {
                Phase::CutoverActivate
            } else {
                Phase::CutoverDeltaPass
            }
        }
        Phase::CutoverDeltaPass => {
            progress.all("delta_pass");
            delta::run(cluster, migration).await?;
            Phase::CutoverActivate
        }
        Phase::CutoverActivate => {
            progress.all("active");
            Phase::CutoverCleanup
        }
        Phase::CutoverCleanup => {
            progress.all("active");
            if migration.awaits_anti_entropy {
                cluster
                    .coordinator
                    .await_repair(cluster, migration.id)
                    .await;
            }
            cleanup::clean_old(cluster, migration).await;
            Phase::Complete
        }
        Phase::Failed => {
            progress.all("failed");
            cleanup::discard_new(cluster, migration).await;
            return Ok(None);
        }
        Phase::Complete => return Ok(None),
    };
    Ok(Some(next))
}

/// Persists a phase, lets it take effect, and logs it.
pub(crate) fn enter(cluster: &Arc<Cluster>, id: u64, phase: Phase) -> Result<(), StateError> {
    change(
        cluster,
        id,
        |m| m.phase = phase,
        phase == Phase::CutoverActivate,
    )?;
    log_phase(id, phase, &[]);
    Ok(())
}

/// Routing goes back to OLD; writes go on.
pub(crate) fn give_up(
    cluster: &Arc<Cluster>,
    migration: &Migration,
    reason: &str,
) -> Result<(), StateError> {
    let given_up = GivenUp {
        phase: migration.phase,
        reason: reason.to_owned(),
    };
    let change_to = |m: &mut Migration| {
        m.phase = Phase::Failed;
        m.given_up = Some(given_up);
        m.discard_pending = true;
    };
    change(cluster, migration.id, change_to, false)?;
    cluster.coordinator.progress.all("failed");
    cluster.audit.given_up(migration.id);
    log_phase(
        migration.id,
        Phase::Failed,
        &[
            ("failed_in", json!(migration.phase)),
            ("reason", json!(reason)),
        ],
    );
    Ok(())
}

fn finish_discard(cluster: &Arc<Cluster>, id: u64) -> Result<(), StateError> {
    change(cluster, id, |m| m.discard_pending = false, false)?;
    log::event("discarded", &[("migration", json!(id))]);
    Ok(())
}

fn change(
    cluster: &Arc<Cluster>,
    id: u64,
    f: impl FnOnce(&mut Migration),
    activate: bool,
) -> Result<(), StateError> {
    cluster.state.update(|state| {
        state.term += 1;
        let Some(migration) = state.migrations.iter_mut().find(|m| m.id == id) else {
            return;
        };
        f(migration);
        if activate {
            let moves = migration.moves.clone();
            state.activate(&moves);
        }
    })?;
    cluster.reroute();
    Ok(())
}

fn log_phase(id: u64, phase: Phase, more: &[(&str, Value)]) {
    let mut fields = vec![("phase", json!(phase)), ("migration", json!(id))];
    fields.extend_from_slice(more);
    log::event("phase", &fields);
}

/// NEW starts without leftovers of earlier attempts.
async fn prepare(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let mut patience = limited(cluster);
    while let Err(error) = cleanup::empty_new(cluster, migration).await {
        patience.or_give_up(error).await?;
    }
    Ok(())
}

/// Waits until every write admitted before this phase has settled, gives up on the stuck ones, and fences OLD, so
/// that what was given up cannot be applied any more.
async fn drain(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let shards = migration.shards();
    let limit = Duration::from_millis(cluster.config.migration.drain_timeout_ms);
    if tokio::time::timeout(limit, cluster.table.drain_earlier(&shards))
        .await
        .is_err()
    {
        let pending = cluster.table.pending_earlier(&shards);
        log::event(
            "drain_timeout",
            &[
                ("migration", json!(migration.id)),
                ("pending", json!(pending)),
            ],
        );
        cluster.table.abandon.notify_waiters();
        cluster.table.drain_earlier(&shards).await;
    }
    let mut patience = limited(cluster);
    let mut sources: Vec<&String> = migration.moves.iter().flat_map(|m| &m.sources).collect();
    sources.sort();
    sources.dedup();
    for source in sources {
        fence(
            cluster,
            migration,
            &cluster.peers.get(source),
            &mut patience,
        )
        .await?;
    }
    Ok(())
}

async fn fence(
    cluster: &Arc<Cluster>,
    migration: &Migration,
    source: &Peer,
    patience: &mut Patience,
) -> Result<(), PeerError> {
    let of_source = migration
        .moves
        .iter()
        .filter(|m| m.sources.contains(&source.name))
        .map(|m| m.shard);
    let fence = cluster.fence(of_source.collect());
    while let Err(error) = source.fence(&fence).await {
        patience.or_give_up(error).await?;
    }
    Ok(())
}

fn limited(cluster: &Cluster) -> Patience {
    Patience::limited(Duration::from_millis(
        cluster.config.migration.delta_timeout_ms,
    ))
}
