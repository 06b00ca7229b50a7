//! The worker: carries out tasks in the order they were accepted, consecutive additions of documents together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::filter::INVALID;
use super::{Shared, State, Work};

/// Additions carried out together at most.
const BATCH: usize = 50;

/// Works for ever.
pub(super) async fn work(shared: Arc<Shared>) {
    loop {
        let batch = shared.state.lock().unwrap().next_batch();
        let delay = Duration::from_millis(shared.delay_ms.load(Ordering::Relaxed));
        tokio::time::sleep(delay.max(Duration::from_millis(1))).await;
        let failing = shared.failing.load(Ordering::Relaxed);
        let mut state = shared.state.lock().unwrap();
        for uid in batch {
            state.carry_out(uid, failing);
        }
    }
}

impl State {
    fn next_batch(&mut self) -> Vec<usize> {
        let Some(first) = self.tasks.iter().position(|t| t.status == "enqueued") else {
            return Vec::new();
        };
        let adds = |n: usize| matches!(self.tasks[n].work, Work::Add { .. });
        let batch: Vec<usize> = (first..self.tasks.len())
            .take(BATCH)
            .enumerate()
            .take_while(|&(n, uid)| n == 0 || adds(first) && adds(uid))
            .map(|(_, uid)| uid)
            .collect();
        for &uid in &batch {
            self.tasks[uid].status = "processing";
        }
        batch
    }

    fn carry_out(&mut self, uid: usize, failing: bool) {
        let (name, work) = (self.tasks[uid].index.clone(), self.tasks[uid].work.clone());
        let done = if failing && matches!(work, Work::Add { .. }) {
            Err(("internal", "this task was told to fail".to_owned()))
        } else {
            self.perform(&name, work)
        };
        let task = &mut self.tasks[uid];
        match done {
            Ok(deleted) => {
                task.status = "succeeded";
                task.deleted = deleted;
            }
            Err(error) => {
                task.status = "failed";
                task.error = Some(error);
            }
        }
    }

    fn perform(&mut self, name: &str, work: Work) -> Result<Option<usize>, (&'static str, String)> {
        if let Work::CreateIndex(primary_key) = work {
            if self.indexes.contains_key(name) {
                return Err(("index_already_exists", format!("`{name}` exists")));
            }
            self.indexes.entry(name.to_owned()).or_default().primary_key = primary_key;
            return Ok(None);
        }
        // Settings and documents make an index; what only takes away does not.
        let makes = matches!(work, Work::Add { .. } | Work::SetFilterable(_));
        if !makes && !self.indexes.contains_key(name) {
            return Err(("index_not_found", format!("Index `{name}` not found.")));
        }
        let index = self.indexes.entry(name.to_owned()).or_default();
        match work {
            Work::CreateIndex(_) => Ok(None),
            Work::SetPrimaryKey(key) => {
                if !index.documents.is_empty() {
                    return Err(("index_primary_key_already_exists", key));
                }
                index.primary_key = Some(key);
                Ok(None)
            }
            Work::SetFilterable(attributes) => {
                index.filterable = attributes;
                Ok(None)
            }
            Work::Add {
                documents,
                merge,
                primary_key,
            } => index
                .add(&documents, merge, primary_key.as_ref())
                .map(|()| None),
            Work::DeleteIds(ids) => {
                let known = ids.iter().filter_map(|id| index.numbers.get(id).copied());
                let found: Vec<u32> = known.collect();
                found.iter().for_each(|&n| index.remove(n));
                Ok(Some(found.len()))
            }
            Work::DeleteFilter(filter) => {
                let found = index.matching(&filter).map_err(|e| (INVALID, e))?;
                found.iter().for_each(|&n| index.remove(n));
                Ok(Some(found.len()))
            }
        }
    }
}
