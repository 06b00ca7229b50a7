//! What the loss checker says: a class for every key, rates with intervals, and the anomalies themselves.

use serde::{Deserialize, Serialize};

use crate::rate::Rate;

/// What became of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyClass {
    /// Its final state is one the operations permit.
    Ok,
    /// The last acknowledged write put a document; it is gone.
    Lost,
    /// An older version than the last acknowledged one is there.
    Stale,
    /// The last acknowledged write deleted it; it is there.
    Resurrected,
    /// It is there, but its checksum or form is wrong.
    Corrupted,
    /// It is there, but nobody wrote it, or only writes that certainly failed did.
    Phantom,
    /// A copy lies on a node that never owned its shard.
    Misplaced,
    /// A copy lies on a node that no longer owns its shard.
    LeftBehind,
}

impl KeyClass {
    /// Every class; the order is that of the fields of [`ClassCounts`].
    pub const ALL: [KeyClass; 8] = [
        KeyClass::Ok,
        KeyClass::Lost,
        KeyClass::Stale,
        KeyClass::Resurrected,
        KeyClass::Corrupted,
        KeyClass::Phantom,
        KeyClass::Misplaced,
        KeyClass::LeftBehind,
    ];
}

/// Keys per class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCounts {
    /// Keys in a permitted final state.
    pub ok: u64,
    /// See [`KeyClass::Lost`].
    pub lost: u64,
    /// See [`KeyClass::Stale`].
    pub stale: u64,
    /// See [`KeyClass::Resurrected`].
    pub resurrected: u64,
    /// See [`KeyClass::Corrupted`].
    pub corrupted: u64,
    /// See [`KeyClass::Phantom`].
    pub phantom: u64,
    /// See [`KeyClass::Misplaced`].
    pub misplaced: u64,
    /// See [`KeyClass::LeftBehind`].
    pub left_behind: u64,
}

impl ClassCounts {
    /// Keys in one class.
    pub fn of(&self, class: KeyClass) -> u64 {
        match class {
            KeyClass::Ok => self.ok,
            KeyClass::Lost => self.lost,
            KeyClass::Stale => self.stale,
            KeyClass::Resurrected => self.resurrected,
            KeyClass::Corrupted => self.corrupted,
            KeyClass::Phantom => self.phantom,
            KeyClass::Misplaced => self.misplaced,
            KeyClass::LeftBehind => self.left_behind,
        }
    }

    /// Counts `keys` more in a class.
    pub fn add(&mut self, class: KeyClass, keys: u64) {
        *match class {
            KeyClass::Ok => &mut self.ok,
            KeyClass::Lost => &mut self.lost,
            KeyClass::Stale => &mut self.stale,
            KeyClass::Resurrected => &mut self.resurrected,
            KeyClass::Corrupted => &mut self.corrupted,
            KeyClass::Phantom => &mut self.phantom,
            KeyClass::Misplaced => &mut self.misplaced,
            KeyClass::LeftBehind => &mut self.left_behind,
        } += keys;
    }

    /// Keys in all classes.
    pub fn total(&self) -> u64 {
        KeyClass::ALL.iter().map(|class| self.of(*class)).sum()
    }
}

/// Losses among the keys whose deciding write was invoked within one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowLoss {
    /// `phase`, `fault` or `load`.
    pub lane: String,
    /// The window's name.
    pub name: String,
    /// Start, nanoseconds since the start of the run (the earliest, if the name recurs).
    pub start_ns: u64,
    /// End, nanoseconds since the start of the run (the latest, if the name recurs).
    pub end_ns: u64,
    /// Writes invoked in the window and acknowledged.
    pub acknowledged_writes: u64,
    /// Classes of the keys whose last acknowledged write was invoked in the window.
    pub counts: ClassCounts,
    /// Lost keys out of those keys.
    pub lost: Rate,
}

/// One key that is not `ok`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomaly {
    /// The key.
    pub key: i64,
    /// Its class.
    pub class: KeyClass,
    /// Version of the last acknowledged write, if any.
    pub acknowledged_version: Option<i64>,
    /// Whether that write was a delete.
    pub acknowledged_delete: bool,
    /// Invocation of that write, nanoseconds since the start of the run.
    pub written_ns: Option<u64>,
    /// Every source that has the document, with the version it has (`None`: corrupt).
    pub found: Vec<(String, Option<i64>)>,
    /// In words, for a person.
    pub explanation: String,
}

/// The loss checker's result for one checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossReport {
    /// Writes (puts and deletes) acknowledged.
    pub acknowledged_writes: u64,
    /// Writes that certainly did not happen.
    pub failed_writes: u64,
    /// Writes that may have happened.
    pub indeterminate_writes: u64,
    /// Reads completed during the run, whatever they saw.
    pub reads: u64,
    /// Keys judged: every key written or seen.
    pub keys: u64,
    /// Keys with at least one acknowledged write: the denominator of `lost`, `stale` and `resurrected`.
    pub acknowledged_keys: u64,
    /// Keys per class. `misplaced` and `left_behind` count keys that are otherwise fine.
    pub counts: ClassCounts,
    /// Keys whose state only an indeterminate write explains; they count as `ok`.
    pub indeterminate_present: u64,
    /// Lost out of `acknowledged_keys`.
    pub lost: Rate,
    /// Stale out of `acknowledged_keys`.
    pub stale: Rate,
    /// Resurrected out of `acknowledged_keys`.
    pub resurrected: Rate,
    /// Corrupted out of `keys`.
    pub corrupted: Rate,
    /// Phantom out of `keys`.
    pub phantom: Rate,
    /// Misplaced out of `keys`.
    pub misplaced: Rate,
    /// Left behind out of `keys`.
    pub left_behind: Rate,
    /// By phase, fault and load stage.
    pub windows: Vec<WindowLoss>,
    /// The anomalies, in key order, at most as many as the checker was told to keep.
    pub anomalies: Vec<Anomaly>,
    /// Anomalies left out of the list (never out of the counts).
    pub anomalies_omitted: u64,
    /// Sources whose final read is incomplete, with the reason; any makes the verdict `unknown` at best.
    pub incomplete_sources: Vec<(String, String)>,
    /// Keys written about which no complete source says anything; in no class and in no other count of keys.
    #[serde(default)]
    pub unjudged_keys: u64,
    /// Documents whose id no workload of this run could have written; they have no key, so they are in no class.
    #[serde(default)]
    pub foreign: u64,
    /// The first of them, as `(source, id)`, at most as many as the checker was told to keep anomalies.
    #[serde(default)]
    pub foreign_examples: Vec<(String, String)>,
    /// Reads during the run that saw a version no put had been invoked for, or only puts that certainly failed.
    #[serde(default)]
    pub impossible_reads: u64,
}

impl LossReport {
    /// Whether every source was read to its end and nothing is wrong: no key in a class other than
    /// `ok`, no foreign document, no impossible read, no key without judgement.
    pub fn is_clean(&self) -> bool {
        let keys_are_fine = ClassCounts {
            ok: 0,
            ..self.counts.clone()
        } == ClassCounts::default();
        keys_are_fine
            && self.foreign == 0
            && self.impossible_reads == 0
            && self.unjudged_keys == 0
            && self.incomplete_sources.is_empty()
    }
}
