//! The second half of the loss checker: takes in the observations and judges every key.

use super::keys::{Content, Keys};
use super::report::{Anomaly, KeyClass, LossReport};
use super::sightings::Sightings;
use super::sources::Sources;
use super::tally::Tally;
use super::write_log::Action;
use crate::error::CheckError;
use crate::history::{ObservationBatch, ObservationRow, Placement, SeenRow};
use crate::windows::Windows;

/// What the observations said about one key, as a set of flags.
mod said {
    pub(super) const ROUTED: u16 = 1 << 0;
    pub(super) const ROUTED_ABSENT: u16 = 1 << 1;
    pub(super) const ON_OWNER: u16 = 1 << 2;
    pub(super) const CORRUPTED: u16 = 1 << 3;
    pub(super) const RESURRECTED: u16 = 1 << 4;
    pub(super) const STALE: u16 = 1 << 5;
    pub(super) const PHANTOM: u16 = 1 << 6;
    pub(super) const MISPLACED: u16 = 1 << 7;
    pub(super) const LEFT_BEHIND: u16 = 1 << 8;
    /// A front door shows what only an indeterminate write explains.
    pub(super) const ROUTED_INDETERMINATE: u16 = 1 << 9;
    /// An owner does.
    pub(super) const OWNER_INDETERMINATE: u16 = 1 << 10;
}

/// Classes of keys that were seen, most severe first.
const SEEN_CLASSES: [(u16, KeyClass); 6] = [
    (said::CORRUPTED, KeyClass::Corrupted),
    (said::RESURRECTED, KeyClass::Resurrected),
    (said::STALE, KeyClass::Stale),
    (said::PHANTOM, KeyClass::Phantom),
    (said::MISPLACED, KeyClass::Misplaced),
    (said::LEFT_BEHIND, KeyClass::LeftBehind),
];

/// What is known from the history alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistoryCounts {
    pub(super) acknowledged_writes: u64,
    pub(super) failed_writes: u64,
    pub(super) indeterminate_writes: u64,
    pub(super) reads: u64,
    pub(super) impossible_reads: u64,
}

/// Takes in what the sources said, in any order; [`finish`](LossJudge::finish) gives the report.
///
/// Made by [`LossChecker::into_judge`](super::LossChecker::into_judge).
#[derive(Debug)]
pub struct LossJudge {
    keys: Keys,
    windows: Windows,
    counts: HistoryCounts,
    keep: usize,
    sources: Sources,
    sightings: Sightings,
    foreign: u64,
    foreign_examples: Vec<(String, String)>,
}

impl LossJudge {
    pub(super) fn new(
        keys: Keys,
        windows: Windows,
        counts: HistoryCounts,
        sources: &[String],
        keep: usize,
    ) -> Self {
        LossJudge {
            sightings: Sightings::new(keys.len(), sources.len()),
            sources: Sources::new(sources),
            foreign: 0,
            foreign_examples: Vec::new(),
            keys,
            windows,
            counts,
            keep,
        }
    }

    /// Takes the next batch of observations.
    ///
    /// Fails if one names a source outside the list the judge was made with.
    pub fn batch(&mut self, batch: &ObservationBatch) -> Result<(), CheckError> {
        batch.rows().try_for_each(|row| self.observe(&row))
    }

    /// Takes the next observation; errors as in [`batch`](LossJudge::batch).
    pub fn observe(&mut self, row: &ObservationRow<'_>) -> Result<(), CheckError> {
        let source = self.sources.check(row.source)?;
        self.sources.saw_placement(source, row.placement);
        match row.seen {
            SeenRow::Version { key, version } => {
                self.document(source, row.placement, key, Some(version))
            }
            SeenRow::Corrupt { key, .. } => self.document(source, row.placement, key, None),
            SeenRow::Absent { key } => {
                // Nodes and keys never written: that something is not there means nothing.
                if let (Placement::Routed, Some(slot)) = (row.placement, self.keys.slot(key)) {
                    self.keys.at_mut(slot).said |= said::ROUTED_ABSENT;
                }
            }
            SeenRow::Foreign { id } => {
                self.foreign += 1;
                if self.foreign_examples.len() < self.keep {
                    let source = self.sources.name(source).to_owned();
                    self.foreign_examples.push((source, id.to_owned()));
                }
            }
            SeenRow::End => self.sources.ended(source),
            SeenRow::Failed { error } => self.sources.failed(source, error),
        }
        Ok(())
    }

    /// Notes that something else is incomplete (the history itself), so that the report says so.
    pub fn incomplete(&mut self, name: &str, reason: &str) {
        self.sources.also_incomplete(name, reason);
    }

    /// The verdict on every key.
    pub fn finish(mut self) -> LossReport {
        self.sightings.sort();
        let mut tally = Tally::new(&self.windows, self.keep);
        for write in self.keys.acknowledged() {
            tally.acknowledged_write(write.time_ns());
        }
        for slot in self.keys.written() {
            let Some(class) = self.class(slot) else {
                tally.unjudged();
                continue;
            };
            let written_ns = self.keys.last(slot).map(|last| last.time_ns());
            let by_chance = class == KeyClass::Ok && self.only_indeterminate_explains(slot);
            tally.key(class, written_ns, by_chance);
            if class != KeyClass::Ok {
                tally.anomaly(|| self.anomaly(self.keys.key(slot), slot, class));
            }
        }
        for (key, slot) in self.keys.strays() {
            let class = self.seen_class(slot).unwrap_or(KeyClass::Phantom);
            tally.key(class, None, false);
            tally.stray_anomaly(|| self.anomaly(key, slot, class));
        }
        let mut report = tally.into_report(&self.counts);
        report.foreign = self.foreign;
        report.foreign_examples = self.foreign_examples;
        report.incomplete_sources = self.sources.into_incomplete();
        report
    }

    /// A source has a document for the key; no version: it is corrupt.
    fn document(&mut self, source: usize, placement: Placement, key: i64, version: Option<i64>) {
        let slot = self.keys.slot_or_stray(key);
        self.sightings.grow(self.keys.len());
        let content = version.map(|version| self.keys.content(slot, version));
        if content != Some(Content::Acknowledged) {
            self.sightings.add_unusual(slot, source, version);
        }
        let key = self.keys.at_mut(slot);
        self.sightings.add(&mut key.has, slot, source);
        key.said |= match placement {
            Placement::Routed => said::ROUTED,
            Placement::Owner => said::ON_OWNER,
            Placement::FormerOwner | Placement::Stranger | Placement::Joining => 0,
        };
        key.said |= match (placement, content) {
            (_, Some(Content::Phantom)) => said::PHANTOM,
            (Placement::FormerOwner, _) => said::LEFT_BEHIND,
            (Placement::Stranger, _) => said::MISPLACED,
            (_, None) => said::CORRUPTED,
            (Placement::Joining, Some(_)) => 0,
            (_, Some(Content::Acknowledged)) => 0,
            (Placement::Routed, Some(Content::Indeterminate)) => said::ROUTED_INDETERMINATE,
            (Placement::Owner, Some(Content::Indeterminate)) => said::OWNER_INDETERMINATE,
            (_, Some(Content::Older)) if key.last == Some(Action::Delete) => said::RESURRECTED,
            (_, Some(Content::Older)) => said::STALE,
        };
    }

    /// The class of a key of the history; `None` if the sources do not say enough.
    fn class(&self, slot: usize) -> Option<KeyClass> {
        let gone = self.gone(slot);
        if gone == Some(true) && self.should_exist(slot) {
            return Some(KeyClass::Lost);
        }
        self.seen_class(slot).or(gone.map(|_| KeyClass::Ok))
    }

    /// The most severe class among those that what was seen of the document implies.
    fn seen_class(&self, slot: usize) -> Option<KeyClass> {
        let class = SEEN_CLASSES
            .iter()
            .find(|(flag, _)| self.keys.at(slot).said & flag != 0);
        class.map(|(_, class)| *class)
    }

    /// Whether a client that asks for the document may be told that there is none.
    fn gone(&self, slot: usize) -> Option<bool> {
        let said = self.keys.at(slot).said;
        if said & said::ROUTED_ABSENT != 0
            || self.sightings.missing_in(
                self.keys.at(slot).has,
                slot,
                self.sources.complete_routed(),
            )
        {
            Some(true)
        } else if said & (said::ROUTED | said::ON_OWNER) != 0 {
            Some(false)
        } else {
            self.sources.nodes_are_complete().then_some(true)
        }
    }

    /// Whether no permitted final state of the key is "nothing".
    fn should_exist(&self, slot: usize) -> bool {
        let acknowledged_put = self.keys.at(slot).last == Some(Action::Put);
        acknowledged_put && !self.keys.maybe_deleted(slot)
    }

    /// Whether the state of a key that is `ok` differs from what its last acknowledged write left.
    fn only_indeterminate_explains(&self, slot: usize) -> bool {
        let said = self.keys.at(slot).said;
        let routed =
            said & (said::ROUTED | said::ROUTED_ABSENT) != 0 || self.sources.any_complete_routed();
        let shown = if routed {
            said::ROUTED_INDETERMINATE
        } else {
            said::OWNER_INDETERMINATE
        };
        let acknowledged_put = self.keys.at(slot).last == Some(Action::Put);
        said & shown != 0 || (acknowledged_put && self.gone(slot) == Some(true))
    }

    fn anomaly(&self, key: i64, slot: usize, class: KeyClass) -> Anomaly {
        let last = self.keys.last(slot);
        let acknowledged_version = last.map(|last| last.version);
        let found = self
            .sightings
            .of(self.keys.at(slot).has, slot, acknowledged_version)
            .into_iter()
            .map(|(source, version)| (self.sources.name(source).to_owned(), version))
            .collect();
        let mut anomaly = Anomaly {
            key,
            class,
            acknowledged_version,
            acknowledged_delete: last.is_some_and(|last| last.action() == Action::Delete),
            written_ns: last.map(|last| last.time_ns()),
            found,
            explanation: String::new(),
        };
        anomaly.explanation = super::explanation::explain(&anomaly);
        anomaly
    }
}
