//! The last tasks, so that clients can ask after them. Older ones are forgotten, as Meilisearch prunes its own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::wire::message::TaskSummary;

/// Tasks remembered.
const KEPT: usize = 10_000;

/// A ring of task summaries. All of them succeeded: answers are sent after the commit.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<VecDeque<TaskSummary>>);

impl Tasks {
    /// Remembers a task.
    pub(crate) fn remember(&self, task: TaskSummary) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(task);
    }

    /// Finds a task.
    pub(crate) fn get(&self, uid: u64) -> Option<TaskSummary> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().find(|t| t.task_uid == uid).cloned()
    }
}
