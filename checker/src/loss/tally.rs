//! Counts keys by class and window, and collects the anomalies.

use super::judge::HistoryCounts;
use super::report::{Anomaly, ClassCounts, KeyClass, LossReport, WindowLoss};
use crate::rate::Rate;
use crate::windows::Windows;

/// What has been counted so far.
pub(super) struct Tally<'a> {
    windows: &'a Windows,
    /// By piece of the run; a window's counts are the sum over its pieces.
    pieces: Vec<Piece>,
    counts: ClassCounts,
    acknowledged_keys: u64,
    indeterminate_present: u64,
    unjudged: u64,
    keep: usize,
    anomalies: Vec<Anomaly>,
    /// Anomalies of keys that the history does not name; merged by key in the end.
    strays: Vec<Anomaly>,
}

#[derive(Clone, Default)]
struct Piece {
    acknowledged_writes: u64,
    counts: ClassCounts,
}

impl<'a> Tally<'a> {
    pub(super) fn new(windows: &'a Windows, keep: usize) -> Self {
        Tally {
            pieces: vec![Piece::default(); windows.pieces()],
            windows,
            counts: ClassCounts::default(),
            acknowledged_keys: 0,
            indeterminate_present: 0,
            unjudged: 0,
            keep,
            anomalies: Vec::new(),
            strays: Vec::new(),
        }
    }

    /// An acknowledged write was invoked then.
    pub(super) fn acknowledged_write(&mut self, invoked_ns: u64) {
        self.pieces[self.windows.piece(invoked_ns)].acknowledged_writes += 1;
    }

    /// A key was judged; `written_ns` is the invocation of its last acknowledged write.
    pub(super) fn key(
        &mut self,
        class: KeyClass,
        written_ns: Option<u64>,
        only_indeterminate_explains: bool,
    ) {
        self.counts.add(class, 1);
        self.indeterminate_present += u64::from(only_indeterminate_explains);
        if let Some(written_ns) = written_ns {
            self.acknowledged_keys += 1;
            self.pieces[self.windows.piece(written_ns)]
                .counts
                .add(class, 1);
        }
    }

    /// A key could not be judged.
    pub(super) fn unjudged(&mut self) {
        self.unjudged += 1;
    }

    /// An anomaly of a key of the history; called in key order, made only if it is to be kept.
    pub(super) fn anomaly(&mut self, anomaly: impl FnOnce() -> Anomaly) {
        if self.anomalies.len() < self.keep {
            self.anomalies.push(anomaly());
        }
    }

    /// Likewise for a key that the history does not name.
    pub(super) fn stray_anomaly(&mut self, anomaly: impl FnOnce() -> Anomaly) {
        if self.strays.len() < self.keep {
            self.strays.push(anomaly());
        }
    }

    /// The report, with everything in it that the tally and the history know.
    pub(super) fn into_report(self, history: &HistoryCounts) -> LossReport {
        let counts = self.counts.clone();
        let (keys, acknowledged_keys) = (counts.total(), self.acknowledged_keys);
        let windows = self.window_losses();
        let mut anomalies = self.anomalies;
        anomalies.extend(self.strays);
        anomalies.sort_by_key(|anomaly| anomaly.key);
        anomalies.truncate(self.keep);
        LossReport {
            acknowledged_writes: history.acknowledged_writes,
            failed_writes: history.failed_writes,
            indeterminate_writes: history.indeterminate_writes,
            reads: history.reads,
            keys,
            acknowledged_keys,
            indeterminate_present: self.indeterminate_present,
            lost: Rate::new(counts.lost, acknowledged_keys),
            stale: Rate::new(counts.stale, acknowledged_keys),
            resurrected: Rate::new(counts.resurrected, acknowledged_keys),
            corrupted: Rate::new(counts.corrupted, keys),
            phantom: Rate::new(counts.phantom, keys),
            misplaced: Rate::new(counts.misplaced, keys),
            left_behind: Rate::new(counts.left_behind, keys),
            windows,
            anomalies_omitted: keys - counts.ok - anomalies.len() as u64,
            anomalies,
            counts,
            unjudged_keys: self.unjudged,
            impossible_reads: history.impossible_reads,
            ..LossReport::default()
        }
    }

    fn window_losses(&self) -> Vec<WindowLoss> {
        let mut sums = vec![Piece::default(); self.windows.windows().len()];
        for (index, piece) in self.pieces.iter().enumerate() {
            for window in self.windows.members(index) {
                sums[*window].acknowledged_writes += piece.acknowledged_writes;
                for class in KeyClass::ALL {
                    sums[*window].counts.add(class, piece.counts.of(class));
                }
            }
        }
        let named = self.windows.windows().iter().zip(sums);
        named
            .map(
                |(
                    window,
                    Piece {
                        acknowledged_writes,
                        counts,
                    },
                )| WindowLoss {
                    lane: window.lane.clone(),
                    name: window.name.clone(),
                    start_ns: window.start_ns,
                    end_ns: window.end_ns,
                    acknowledged_writes,
                    lost: Rate::new(counts.lost, counts.total()),
                    counts,
                },
            )
            .collect()
    }
}
