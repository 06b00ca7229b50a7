//! What passes did: the one that runs, the last ones, and where the next one goes on. Kept in a file, so that it
//! survives the router; losing it costs nothing but the memory.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::log;

/// Passes remembered.
const KEPT: usize = 100;
/// Errors remembered of each pass.
const ERRORS: usize = 20;

/// What a pass found and did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Counted from 1.
    pub(super) id: u64,
    /// `schedule` or `operator`.
    pub(super) trigger: String,
    /// `repair`, `report` (repairs are off) or `verify`.
    pub(super) mode: String,
    /// RFC 3339.
    pub(super) started_at: String,
    /// Duration so far, or of the whole pass.
    pub(super) duration_ms: u64,
    /// Whether every comparison was made, and nothing was left divergent.
    pub(super) complete: bool,
    /// Shards to compare.
    pub(super) shards: u32,
    /// Shards compared so far.
    pub(super) shards_done: u32,
    /// Shards with a divergence.
    pub(super) divergent_shards: u32,
    /// Records that some owner lacked or held older.
    pub(super) divergent_keys: u64,
    /// Records repaired.
    pub(super) repaired: u64,
    /// Copies of expired documents deleted.
    pub(super) expired: u64,
    /// Tombstones forgotten, since their grace period is over and all copies held them.
    pub(super) purged: u64,
    /// Divergent shards reported instead of repaired.
    pub(super) alerts: u32,
    /// The first comparisons that failed.
    pub(super) errors: Vec<String>,
}

/// Sums since the router began.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Totals {
    /// Passes ended.
    pub(crate) passes: u64,
    /// Divergent records found.
    pub(crate) divergent_keys: u64,
    /// Records repaired.
    pub(crate) repaired: u64,
    /// Alerts.
    pub(crate) alerts: u64,
    /// Tombstones forgotten.
    pub(crate) purged: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    passes: u64,
    next_shard: u32,
    history: VecDeque<Report>,
}

#[derive(Default)]
struct Inner {
    kept: Kept,
    current: Option<Report>,
    totals: Totals,
}

/// The journal.
pub(crate) struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
    /// Held by the pass that runs.
    pub(super) running: tokio::sync::Mutex<()>,
}

impl Journal {
    /// Reads the file, if there is one that makes sense.
    pub(crate) fn open(directory: &Path) -> Self {
        let path = directory.join("anti_entropy.json");
        let kept = std::fs::read(&path).ok().and_then(|bytes| {
            let kept = serde_json::from_slice(&bytes);
            kept.inspect_err(|e| log::warn(&format!("the anti-entropy history is lost: {e}")))
                .ok()
        });
        let inner = Inner {
            kept: kept.unwrap_or_default(),
            ..Inner::default()
        };
        Journal {
            path,
            inner: Mutex::new(inner),
            running: tokio::sync::Mutex::default(),
        }
    }

    /// Begins a pass over `count` of `of` shards (0: all), going round; answers which.
    pub(super) fn begin(&self, mut report: Report, count: u32, of: u32) -> Vec<u32> {
        let mut inner = self.lock();
        inner.kept.passes += 1;
        report.id = inner.kept.passes;
        let shards: Vec<u32> = if count == 0 || count >= of {
            (0..of).collect()
        } else {
            let first = inner.kept.next_shard % of;
            inner.kept.next_shard = (first + count) % of;
            (0..count).map(|n| (first + n) % of).collect()
        };
        report.shards = u32::try_from(shards.len()).unwrap_or(u32::MAX);
        inner.current = Some(report);
        shards
    }

    /// Changes what is known of the running pass.
    pub(super) fn update(&self, f: impl FnOnce(&mut Report)) {
        let mut inner = self.lock();
        if let Some(report) = &mut inner.current {
            let before = (
                report.divergent_keys,
                report.repaired,
                report.purged,
                report.alerts,
            );
            f(report);
            report.errors.truncate(ERRORS);
            let added = Totals {
                passes: 0,
                divergent_keys: report.divergent_keys - before.0,
                repaired: report.repaired - before.1,
                purged: report.purged - before.2,
                alerts: u64::from(report.alerts - before.3),
            };
            inner.totals.add(added);
        }
    }

    /// Ends the running pass.
    pub(super) fn end(&self) -> Report {
        let mut inner = self.lock();
        let report = inner.current.take().unwrap_or_default();
        inner.totals.passes += 1;
        inner.kept.history.push_back(report.clone());
        while inner.kept.history.len() > KEPT {
            inner.kept.history.pop_front();
        }
        let kept = serde_json::to_vec(&inner.kept).expect("strings and numbers only");
        drop(inner);
        let draft = self.path.with_extension("json.new");
        let written =
            std::fs::write(&draft, kept).and_then(|()| std::fs::rename(&draft, &self.path));
        if let Err(error) = written {
            log::warn(&format!(
                "the anti-entropy history cannot be written: {error}"
            ));
        }
        report
    }

    /// The pass that runs, if any.
    pub(super) fn current(&self) -> Option<Report> {
        self.lock().current.clone()
    }

    /// The last passes, oldest first.
    pub(super) fn history(&self) -> Vec<Report> {
        self.lock().kept.history.iter().cloned().collect()
    }

    /// Sums since the router began, the running pass included.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn add(&mut self, more: Totals) {
        self.passes += more.passes;
        self.divergent_keys += more.divergent_keys;
        self.repaired += more.repaired;
        self.alerts += more.alerts;
        self.purged += more.purged;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_passes_go_round_also_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path());
        assert_eq!(journal.begin(Report::default(), 3, 5), [0, 1, 2]);
        journal.update(|r| r.repaired += 4);
        assert_eq!(journal.end().repaired, 4);
        let journal = Journal::open(directory.path());
        assert_eq!(journal.begin(Report::default(), 3, 5), [3, 4, 0]);
        assert_eq!(journal.end().id, 2);
        assert_eq!(journal.history().len(), 2);
        assert_eq!(journal.begin(Report::default(), 0, 5).len(), 5);
    }
}
