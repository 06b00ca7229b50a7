//! What operators ask of the coordinator: add a node, start, cut over, abort.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::task::JoinHandle;

use super::drive::{drive, enter, give_up};
use super::progress::Progress;
use super::state::{Member, Migration, Phase};
use super::store::StateError;
use crate::log;
use crate::router::{Cluster, UNSAFE_CUTOVER, check_safety};
use crate::wire::error::ApiError;

/// The task that drives the current migration, and what it waits for.
#[derive(Default)]
pub(crate) struct Coordinator {
    task: Mutex<Option<JoinHandle<()>>>,
    wake: Notify,
    pub(crate) progress: Progress,
}

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
}

fn yes() -> bool {
    true
}

impl Coordinator {
    /// Waits until the cutover may begin.
    pub(crate) async fn await_cutover(&self, cluster: &Cluster, id: u64) {
        self.wait_for(cluster, id, |m| m.auto_cutover || m.cutover_requested)
            .await;
    }

    /// Waits until anti-entropy has repaired NEW.
    pub(crate) async fn await_repair(&self, cluster: &Cluster, id: u64) {
        if cluster.state.migration(id).is_some_and(|m| !m.repaired) {
            log::event("awaiting_anti_entropy", &[("migration", json!(id))]);
        }
        self.wait_for(cluster, id, |m| m.repaired).await;
    }

    /// Lets waits look at the state again.
    pub(crate) fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Stops driving; what is persisted stays as it is.
    pub(crate) async fn stop(&self) {
        halt(&mut self.task.lock().await).await;
    }

    async fn wait_for(&self, cluster: &Cluster, id: u64, done: impl Fn(&Migration) -> bool) {
        loop {
            let woken = self.wake.notified();
            if cluster.state.migration(id).is_none_or(|m| done(&m)) {
                return;
            }
            woken.await;
        }
    }
}

async fn halt(task: &mut MutexGuard<'_, Option<JoinHandle<()>>>) {
    if let Some(task) = task.take() {
        task.abort();
        // An abort is the expected end.
        let _ = task.await;
    }
}

fn internal(error: StateError) -> ApiError {
    ApiError::internal(error.to_string())
}

/// Goes on with a migration after a restart.
pub(crate) async fn resume(cluster: &Arc<Cluster>, id: u64) {
    *cluster.coordinator.task.lock().await = Some(tokio::spawn(drive(Arc::clone(cluster), id)));
}

/// Makes a node known. It owns nothing until a migration to it.
pub(crate) fn add_node(cluster: &Cluster, member: &Member) -> Result<(), ApiError> {
    member
        .check()
        .map_err(|e| ApiError::bad_request("invalid_node", e))?;
    let known = cluster
        .state
        .read(|s| s.nodes.iter().find(|n| n.name == member.name).cloned());
    match known {
        Some(known) if known == *member => return Ok(()),
        Some(known) => {
            return Err(ApiError::conflict(
                "node_exists",
                format!("node `{}` is known as {}", known.name, known.url),
            ));
        }
        None => {}
    }
    cluster
        .state
        .update(|s| s.nodes.push(member.clone()))
        .map_err(internal)?;
    cluster
        .peers
        .add(member)
        .map_err(|e| ApiError::bad_request("invalid_node_url", e))?;
    if let Some(warning) = member.warning() {
        log::warn(&warning);
    }
    log::event(
        "node_added",
        &[("name", json!(member.name)), ("url", json!(member.url))],
    );
    Ok(())
}

/// Begins a migration. When it is refused, nothing has changed.
pub(crate) async fn start(cluster: &Arc<Cluster>, request: &StartRequest) -> Result<u64, ApiError> {
    if !cluster.is_ready() {
        return Err(ApiError::unavailable(
            "recovering",
            "the router is still recovering",
        ));
    }
    let mut task = cluster.coordinator.task.lock().await;
    let skip_delta_pass = request
        .skip_delta_pass
        .unwrap_or(cluster.config.migration.skip_delta_pass);
    let warnings = check_safety(&cluster.config, skip_delta_pass).map_err(|e| {
        ApiError::new(
            axum::http::StatusCode::UNPROCESSABLE_ENTITY,
            UNSAFE_CUTOVER,
            e.to_string(),
        )
    })?;
    let last = cluster.state.read(|s| s.migrations.last().cloned());
    if let Some(last) = last.filter(Migration::is_open)
        && (last.phase != Phase::Failed || last.to != request.to)
    {
        return Err(ApiError::conflict(
            "migration_in_progress",
            format!("migration {} is not finished yet", last.id),
        ));
    }
    if !cluster
        .state
        .read(|s| s.nodes.iter().any(|n| n.name == request.to))
    {
        return Err(ApiError::not_found(
            "node_not_found",
            format!("node `{}` was not added", request.to),
        ));
    }
    let moves = cluster.state.read(|s| s.moves_to(&request.to));
    if moves.is_empty() {
        return Err(ApiError::conflict(
            "nothing_to_move",
            format!("node `{}` owns all it should", request.to),
        ));
    }
    // Leftovers of a failed attempt are removed by the new one.
    halt(&mut task).await;
    for warning in &warnings {
        log::warn(warning);
    }
    let id = cluster
        .state
        .update(|s| {
            let id = s.migrations.len() as u64 + 1;
            if let Some(last) = s.migrations.last_mut() {
                last.discard_pending = false;
            }
            s.migrations.push(Migration {
                id,
                to: request.to.clone(),
                auto_cutover: request.auto_cutover,
                cutover_requested: false,
                skip_delta_pass,
                awaits_anti_entropy: skip_delta_pass && cluster.config.repairs(),
                repaired: false,
                unsafe_override: !warnings.is_empty(),
                phase: Phase::ComputingAssignments,
                moves,
                given_up: None,
                discard_pending: false,
            });
            id
        })
        .map_err(internal)?;
    enter(cluster, id, Phase::ComputingAssignments).map_err(internal)?;
    *task = Some(tokio::spawn(drive(Arc::clone(cluster), id)));
    Ok(id)
}

/// Asks a migration that waits in dual-write to cut over.
pub(crate) fn cutover(cluster: &Cluster, id: u64) -> Result<(), ApiError> {
    let migration = current(cluster, id)?;
    if !matches!(
        migration.phase,
        Phase::ComputingAssignments | Phase::DualWriteMigrating
    ) {
        return Err(ApiError::conflict(
            "too_late",
            format!("migration {id} is past dual-write"),
        ));
    }
    let asked = cluster.state.update(|s| {
        if let Some(m) = s.migrations.last_mut() {
            m.cutover_requested = true;
        }
    });
    asked.map_err(internal)?;
    cluster.coordinator.wake();
    Ok(())
}

/// Gives a migration up before its activation: routing goes back to OLD, NEW's copies are removed.
pub(crate) async fn abort(cluster: &Arc<Cluster>, id: u64) -> Result<(), ApiError> {
    let mut task = cluster.coordinator.task.lock().await;
    let too_late = || {
        ApiError::conflict(
            "too_late",
            format!("migration {id} cannot be aborted any more"),
        )
    };
    if !current(cluster, id)?.phase.is_before_activation() {
        return Err(too_late());
    }
    // It may go on until it is halted; only then the phase counts.
    halt(&mut task).await;
    let migration = current(cluster, id)?;
    let before = migration.phase.is_before_activation();
    if before {
        give_up(cluster, &migration, "aborted by the operator").map_err(internal)?;
    }
    *task = Some(tokio::spawn(drive(Arc::clone(cluster), id)));
    if before { Ok(()) } else { Err(too_late()) }
}

fn current(cluster: &Cluster, id: u64) -> Result<Migration, ApiError> {
    let last = cluster.state.read(|s| s.migrations.last().cloned());
    last.filter(|m| m.id == id).ok_or_else(|| {
        ApiError::not_found(
            "migration_not_found",
            format!("migration {id} is not the current one"),
        )
    })
}
