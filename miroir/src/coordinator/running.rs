//! The tasks that drive migrations, one each, and what they wait for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::task::JoinHandle;

use super::drive::drive;
use super::progress::Progress;
use super::state::Migration;
use crate::log;
use crate::router::Cluster;

/// Tasks by migration.
pub(crate) type Tasks = BTreeMap<u64, JoinHandle<()>>;

/// What drives migrations. Whoever holds the tasks is the only one to begin or end a migration.
#[derive(Default)]
pub(crate) struct Coordinator {
    tasks: Mutex<Tasks>,
    wake: Notify,
    pub(crate) progress: Progress,
}

impl Coordinator {
    /// Keeps others from beginning or ending migrations.
    pub(crate) async fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().await
    }

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
        let mut tasks = self.tasks.lock().await;
        let ids: Vec<u64> = tasks.keys().copied().collect();
        for id in ids {
            halt(&mut tasks, id).await;
        }
    }

    async fn wait_for(&self, cluster: &Cluster, id: u64, done: impl Fn(&Migration) -> bool) {
        loop {
            let woken = self.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if cluster.state.migration(id).is_none_or(|m| done(&m)) {
                return;
            }
            woken.await;
        }
    }
}

/// Ends a migration's task, and waits until it has ended.
pub(crate) async fn halt(tasks: &mut Tasks, id: u64) {
    if let Some(task) = tasks.remove(&id) {
        task.abort();
        // An abort is the expected end.
        let _ = task.await;
    }
}

/// Begins a migration's task.
pub(crate) fn begin(tasks: &mut Tasks, cluster: &Arc<Cluster>, id: u64) {
    tasks.retain(|_, task| !task.is_finished());
    let cluster = Arc::clone(cluster);
    let task = tokio::spawn(async move {
        tokio::select! {
            () = drive(&cluster, id) => {}
            () = cluster.identity.superseded() => {}
        }
    });
    tasks.insert(id, task);
}

/// Goes on with a migration after a restart.
pub(crate) async fn resume(cluster: &Arc<Cluster>, id: u64) {
    #[cfg(feature = "planted-bugs")]
    super::planted::recover_in_the_wrong_phase(cluster, id);
    begin(&mut *cluster.coordinator.tasks().await, cluster, id);
}
