//! Carries a migration through its phases. Every phase can be entered again after a crash.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::state::{GivenUp, Migration, Phase, State};
use super::store::StateError;
use super::{cleanup, copy, delta, drain};
use crate::log;
use crate::peer::PeerError;
use crate::router::{Cluster, confirm};

/// Goes on from the persisted phase until there is nothing left to do.
pub(crate) async fn drive(cluster: &Arc<Cluster>, id: u64) {
    while let Some(migration) = cluster.state.migration(id).filter(Migration::is_open) {
        let earliest =
            Instant::now() + Duration::from_millis(cluster.config.migration.phase_settle_ms);
        let done = act(cluster, &migration).await;
        if let Ok(Some(_)) = &done {
            tokio::time::sleep_until(earliest).await;
        }
        // A router that slept through its replacement must not take another step.
        confirm(cluster).await;
        if cluster.identity.is_superseded() {
            return;
        }
        let next = match done {
            Ok(Some(next)) => enter(cluster, id, next),
            Ok(None) => finish_discard(cluster, id),
            Err(error) => give_up(cluster, &migration, &error.to_string()),
        };
        if let Err(error) = next {
            log::event("fatal", &[("message", json!(error.to_string()))]);
            std::process::exit(1);
        }
    }
}

/// The work of a phase; answers with the next phase.
async fn act(cluster: &Arc<Cluster>, migration: &Migration) -> Result<Option<Phase>, PeerError> {
    let (progress, id) = (&cluster.coordinator.progress, migration.id);
    let shards = migration.shards();
    let next = match migration.phase {
        Phase::ComputingAssignments => {
            progress.reset(id, &shards);
            prepare(cluster, migration).await?;
            Phase::DualWriteMigrating
        }
        Phase::DualWriteMigrating => {
            progress.reset(id, &shards);
            // Writes from before the dual write that settle after their page was read would miss the copy.
            drain::drain(cluster, migration).await?;
            copy::copy_all(cluster, migration).await;
            cluster.coordinator.await_cutover(cluster, id).await;
            Phase::CutoverBegin
        }
        Phase::CutoverBegin => Phase::CutoverDraining,
        Phase::CutoverDraining => {
            progress.enter(id, &shards, "draining");
            drain::drain(cluster, migration).await?;
            #[cfg(feature = "planted-bugs")]
            if crate::planted::planted(crate::planted::Bug::CleanupBeforeActivate) {
                cleanup::clean_old(cluster, migration).await;
            }
            if migration.skip_delta_pass {
                drain::fence_new(cluster, migration).await?;
                Phase::CutoverActivate
            } else {
                Phase::CutoverDeltaPass
            }
        }
        Phase::CutoverDeltaPass => {
            progress.enter(id, &shards, "delta_pass");
            drain::fence_new(cluster, migration).await?;
            delta::run(cluster, migration).await?;
            Phase::CutoverActivate
        }
        Phase::CutoverActivate => {
            progress.enter(id, &shards, "active");
            Phase::CutoverCleanup
        }
        Phase::CutoverCleanup => {
            if migration.awaits_anti_entropy {
                cluster.coordinator.await_repair(cluster, id).await;
            }
            cleanup::clean_old(cluster, migration).await;
            Phase::Complete
        }
        Phase::Failed => {
            cleanup::discard_new(cluster, migration).await;
            return Ok(None);
        }
        Phase::Complete => return Ok(None),
    };
    Ok(Some(next))
}

/// Persists a phase, lets it take effect, and logs it.
pub(crate) fn enter(cluster: &Arc<Cluster>, id: u64, phase: Phase) -> Result<(), StateError> {
    change(cluster, id, |m| m.phase = phase)?;
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
    change(cluster, migration.id, |m| {
        m.phase = Phase::Failed;
        m.given_up = Some(given_up);
        m.discard_pending = true;
    })?;
    let progress = &cluster.coordinator.progress;
    progress.set_stuck(migration.id, false);
    progress.enter(migration.id, &migration.shards(), "failed");
    cluster.audit.given_up(migration.id);
    log_failed(migration, reason);
    Ok(())
}

/// Logs that a migration was given up.
pub(crate) fn log_failed(migration: &Migration, reason: &str) {
    log_phase(
        migration.id,
        Phase::Failed,
        &[
            ("failed_in", json!(migration.phase)),
            ("reason", json!(reason)),
        ],
    );
}

fn finish_discard(cluster: &Arc<Cluster>, id: u64) -> Result<(), StateError> {
    change(cluster, id, |m| m.discard_pending = false)?;
    log::event("discarded", &[("migration", json!(id))]);
    Ok(())
}

fn change(
    cluster: &Arc<Cluster>,
    id: u64,
    f: impl FnOnce(&mut Migration),
) -> Result<(), StateError> {
    cluster.state.update(|state| {
        state.term += 1;
        let term = state.term;
        if let Some(migration) = state.migration_mut(id) {
            f(migration);
            migration.phase_term = term;
            let migration = migration.clone();
            take_effect(state, &migration);
        }
    })?;
    cluster.reroute();
    Ok(())
}

/// What a phase changes in the topology.
fn take_effect(state: &mut State, migration: &Migration) {
    match migration.phase {
        Phase::CutoverActivate => state.activate(&migration.moves),
        #[cfg(feature = "planted-bugs")]
        Phase::CutoverDeltaPass
            if crate::planted::planted(crate::planted::Bug::RouteBeforeDelta) =>
        {
            state.activate(&migration.moves);
        }
        Phase::Complete => state.forget(&migration.intent),
        _ => {}
    }
}

fn log_phase(id: u64, phase: Phase, more: &[(&str, Value)]) {
    let mut fields = vec![("phase", json!(phase)), ("migration", json!(id))];
    fields.extend_from_slice(more);
    log::event("phase", &fields);
}

/// NEW starts without leftovers of earlier attempts.
async fn prepare(cluster: &Arc<Cluster>, migration: &Migration) -> Result<(), PeerError> {
    let mut patience = drain::limited(cluster);
    while let Err(error) = cleanup::empty_new(cluster, migration).await {
        patience.or_give_up(error).await?;
    }
    Ok(())
}
