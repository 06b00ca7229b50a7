//! What operators ask of migrations: start, cut over, abort, roll back.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::drive::{enter, give_up, log_failed};
use super::plan::{plan, unknown_migration};
use super::running::{Tasks, begin, halt};
use super::state::{GivenUp, Intent, Migration, Move, Phase, State};
use super::store::StateError;
use crate::log;
use crate::router::{Cluster, UNSAFE_CUTOVER, check_safety};
use crate::wire::error::ApiError;

/// Body of `POST /_miroir/migrations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRequest {
    /// The node that joins.
    pub(crate) to: String,
    /// Whether the cutover begins as soon as the copy is done.
    #[serde(default = "yes")]
    pub(crate) auto_cutover: bool,
    /// In place of the configured value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) skip_delta_pass: Option<bool>,
    /// Only these shards, whether the node wins them or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shards: Option<Vec<u32>>,
}

/// How a migration is to be carried out.
#[derive(Debug, Clone, Default)]
pub(crate) struct How {
    pub(crate) manual_cutover: bool,
    pub(crate) skip_delta_pass: Option<bool>,
    pub(crate) only: Option<Vec<u32>>,
}

fn yes() -> bool {
    true
}

pub(crate) fn internal(error: StateError) -> ApiError {
    ApiError::internal(error.to_string())
}

/// Begins a migration to a node. When it is refused, nothing has changed.
pub(crate) async fn start(cluster: &Arc<Cluster>, request: &StartRequest) -> Result<u64, ApiError> {
    let how = How {
        manual_cutover: !request.auto_cutover,
        skip_delta_pass: request.skip_delta_pass,
        only: request.shards.clone(),
    };
    let mut tasks = cluster.coordinator.tasks().await;
    launch(cluster, &mut tasks, Intent::Join(request.to.clone()), &how).await
}

/// Begins a migration. When it is refused, nothing has changed.
pub(crate) async fn launch(
    cluster: &Arc<Cluster>,
    tasks: &mut Tasks,
    intent: Intent,
    how: &How,
) -> Result<u64, ApiError> {
    cluster.check_serving()?;
    let skip_delta_pass = how
        .skip_delta_pass
        .unwrap_or(cluster.config.migration.skip_delta_pass);
    let warnings = check_safety(&cluster.config, skip_delta_pass).map_err(|e| {
        ApiError::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            UNSAFE_CUTOVER,
            e.to_string(),
        )
    })?;
    let only = how.only.as_deref();
    let moves = cluster.state.read(|s| plan(s, &intent, only))?;
    let replaced = cluster.state.read(|s| replaced_leftovers(s, &moves))?;
    for &id in &replaced {
        halt(tasks, id).await;
    }
    for warning in &warnings {
        log::warn(warning);
    }
    let id = cluster
        .state
        .update(|s| {
            let id = s.migrations.len() as u64 + 1;
            for old in &replaced {
                if let Some(old) = s.migration_mut(*old) {
                    old.discard_pending = false;
                }
            }
            let mut migration = Migration::new(id, intent, moves);
            migration.auto_cutover = !how.manual_cutover;
            migration.skip_delta_pass = skip_delta_pass;
            migration.awaits_anti_entropy = skip_delta_pass && cluster.config.repairs();
            migration.unsafe_override = !warnings.is_empty();
            s.migrations.push(migration);
            id
        })
        .map_err(internal)?;
    enter(cluster, id, Phase::ComputingAssignments).map_err(internal)?;
    begin(tasks, cluster, id);
    Ok(id)
}

/// Migrations given up whose leftovers the new one removes itself. Refused if it would remove only a part of them.
fn replaced_leftovers(state: &State, moves: &[Move]) -> Result<Vec<u64>, ApiError> {
    let pairs = |moves: &[Move]| -> BTreeSet<(String, u32)> {
        let pairs = moves
            .iter()
            .flat_map(|m| m.joining.iter().map(|node| (node.clone(), m.shard)));
        pairs.collect()
    };
    let new = pairs(moves);
    let mut replaced = Vec::new();
    let given_up = state
        .migrations
        .iter()
        .filter(|m| m.phase == Phase::Failed && m.discard_pending);
    for old in given_up {
        let left = pairs(&old.moves);
        if left.is_disjoint(&new) {
            continue;
        }
        if !left.is_subset(&new) || old.keeps_copies {
            return Err(ApiError::conflict(
                "migration_conflict",
                format!("what migration {} left is still being removed", old.id),
            ));
        }
        replaced.push(old.id);
    }
    Ok(replaced)
}

/// Asks a migration that waits in dual-write to cut over.
pub(crate) fn cutover(cluster: &Cluster, id: u64) -> Result<(), ApiError> {
    cluster.check_serving()?;
    if !matches!(
        known(cluster, id)?.phase,
        Phase::ComputingAssignments | Phase::DualWriteMigrating
    ) {
        return Err(ApiError::conflict(
            "too_late",
            format!("migration {id} is past dual-write"),
        ));
    }
    let asked = cluster.state.update(|s| {
        if let Some(m) = s.migration_mut(id) {
            m.cutover_requested = true;
        }
    });
    asked.map_err(internal)?;
    cluster.coordinator.wake();
    Ok(())
}

/// Gives a migration up before its activation: routing goes back to OLD, NEW's copies are removed.
pub(crate) async fn abort(cluster: &Arc<Cluster>, id: u64) -> Result<(), ApiError> {
    cluster.check_serving()?;
    let mut tasks = cluster.coordinator.tasks().await;
    give_up_before_activation(cluster, &mut tasks, id).await
}

async fn give_up_before_activation(
    cluster: &Arc<Cluster>,
    tasks: &mut Tasks,
    id: u64,
) -> Result<(), ApiError> {
    let too_late = || {
        ApiError::conflict(
            "too_late",
            format!("migration {id} cannot be aborted any more: roll it back"),
        )
    };
    if !known(cluster, id)?.phase.is_before_activation() {
        return Err(too_late());
    }
    // It may go on until it is halted; only then the phase counts.
    halt(tasks, id).await;
    let migration = known(cluster, id)?;
    let before = migration.phase.is_before_activation();
    if before {
        give_up(cluster, &migration, "aborted by the operator").map_err(internal)?;
    }
    begin(tasks, cluster, id);
    if before { Ok(()) } else { Err(too_late()) }
}

/// Takes a migration back, wherever it is: before its activation it is given up, afterwards its shards are moved
/// back by a migration of their own. Answers with what was done.
pub(crate) async fn rollback(
    cluster: &Arc<Cluster>,
    id: u64,
    manual_cutover: bool,
) -> Result<serde_json::Value, ApiError> {
    cluster.check_serving()?;
    let mut tasks = cluster.coordinator.tasks().await;
    match known(cluster, id)?.phase {
        Phase::Failed => {
            return Err(ApiError::conflict(
                "already_given_up",
                format!("migration {id} was given up: there is nothing to take back"),
            ));
        }
        phase if phase.is_before_activation() => {
            match give_up_before_activation(cluster, &mut tasks, id).await {
                Ok(()) => return Ok(json!({"id": id, "rollback": "aborted"})),
                // It was activated at this very moment.
                Err(error) if error.code == "too_late" => {}
                Err(error) => return Err(error),
            }
        }
        _ => {}
    }
    let intent = Intent::Rollback(id);
    halt(&mut tasks, id).await;
    let done = known(cluster, id)?;
    let moves = match cluster.state.read(|s| plan(s, &intent, None)) {
        Ok(moves) => moves,
        Err(error) => {
            // It was not to be touched: it goes on.
            begin(&mut tasks, cluster, id);
            return Err(error);
        }
    };
    let interrupted = done.is_open();
    let reason = "rolled back by the operator";
    let back = cluster
        .state
        .update(|s| {
            let back = s.migrations.len() as u64 + 1;
            if let Some(m) = s.migration_mut(id) {
                m.rolled_back_by = Some(back);
                if interrupted {
                    m.phase = Phase::Failed;
                    m.given_up = Some(GivenUp {
                        phase: done.phase,
                        reason: reason.to_owned(),
                    });
                }
            }
            let mut migration = Migration::new(back, intent, moves);
            migration.auto_cutover = !manual_cutover;
            // Until the clean-up is over, OLD may hold what NEW never got.
            migration.keeps_copies = interrupted;
            s.migrations.push(migration);
            back
        })
        .map_err(internal)?;
    if interrupted {
        log_failed(&done, reason);
    }
    enter(cluster, back, Phase::ComputingAssignments).map_err(internal)?;
    begin(&mut tasks, cluster, back);
    Ok(json!({"id": back, "rollback": "migration", "of": id}))
}

fn known(cluster: &Cluster, id: u64) -> Result<Migration, ApiError> {
    cluster
        .state
        .migration(id)
        .ok_or_else(|| unknown_migration(id))
}
