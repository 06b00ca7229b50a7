//! The writes of each key, found by key in O(1).

use hashbrown::HashMap;

use super::write_log::{Action, Entry, Fate};

/// Marks a number that is no key's in [`Slots::Table`].
const NONE: u32 = u32::MAX;

/// All keys of a history, in order, then those only seen (*strays*); a key's position is its *slot*.
#[derive(Debug)]
pub(super) struct Keys {
    /// Writes by key and version.
    entries: Vec<Entry>,
    keys: Vec<Key>,
    slots: Slots,
    strays: HashMap<i64, u32>,
}

/// What an observation needs to know of its key and leaves with it: together, because with millions
/// of keys each access to another place in memory counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// Version of the last acknowledged write, if there is one.
    last_version: i64,
    /// Which of the first 64 sources have the document, one bit each.
    pub(super) has: u64,
    /// The key's writes begin here in the entries, and end where the next key's begin.
    start: u32,
    /// Flags that belong to the judge.
    pub(super) said: u16,
    /// What the last acknowledged write did, if there is one.
    pub(super) last: Option<Action>,
}

/// Slot by key: computed or looked up where the keys are dense, as those of our workloads are.
#[derive(Debug)]
enum Slots {
    Contiguous { first: i64, len: usize },
    Table { first: i64, slots: Vec<u32> },
    Hash(HashMap<i64, u32>),
}

/// What the writes of a key say about a version that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The last acknowledged write put it.
    Acknowledged,
    /// It is not what the last acknowledged write left, but an indeterminate write may have put it.
    Indeterminate,
    /// An earlier acknowledged write put it.
    Older,
    /// No put of this version was invoked, or only ones that failed.
    Phantom,
}

impl Keys {
    /// From all entries in order; also counts the reads that saw what nobody could have written yet.
    pub(super) fn new(mut entries: Vec<Entry>) -> (Self, u64) {
        let impossible_reads = drop_reads(&mut entries);
        let distinct = entries.chunk_by(|a, b| a.key == b.key).count();
        let mut keys = Vec::with_capacity(distinct);
        let mut start = 0;
        for writes in entries.chunk_by(|a, b| a.key == b.key) {
            let last = last_acknowledged(writes);
            keys.push(Key {
                last_version: last.map_or(0, |last| last.version),
                has: 0,
                start,
                said: 0,
                last: last.map(Entry::action),
            });
            start += writes.len() as u32;
        }
        let slots = Slots::new(&entries, &keys);
        let keys = Keys {
            entries,
            keys,
            slots,
            strays: HashMap::new(),
        };
        (keys, impossible_reads)
    }

    /// Keys, strays included.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The slots of the history's keys, in key order.
    pub(super) fn written(&self) -> std::ops::Range<usize> {
        0..self.keys.len() - self.strays.len()
    }

    /// Keys that were seen, but that no write of the history names, with their slots, in key order.
    pub(super) fn strays(&self) -> Vec<(i64, usize)> {
        let mut strays: Vec<_> = self
            .strays
            .iter()
            .map(|(key, slot)| (*key, *slot as usize))
            .collect();
        strays.sort_unstable();
        strays
    }

    /// The slot of a key of the history.
    pub(super) fn slot(&self, key: i64) -> Option<usize> {
        match &self.slots {
            Slots::Contiguous { first, len } => offset(key, *first).filter(|slot| slot < len),
            Slots::Table { first, slots } => {
                let slot = *slots.get(offset(key, *first)?)?;
                (slot != NONE).then_some(slot as usize)
            }
            Slots::Hash(slots) => slots.get(&key).map(|slot| *slot as usize),
        }
    }

    /// The slot of any key; one the history does not name becomes a stray.
    pub(super) fn slot_or_stray(&mut self, key: i64) -> usize {
        if let Some(slot) = self.slot(key) {
            return slot;
        }
        let next = self.keys.len();
        let slot = *self.strays.entry(key).or_insert(next as u32) as usize;
        if slot == next {
            let start = self.entries.len() as u32;
            self.keys.push(Key {
                last_version: 0,
                has: 0,
                start,
                said: 0,
                last: None,
            });
        }
        slot
    }

    pub(super) fn at(&self, slot: usize) -> &Key {
        &self.keys[slot]
    }

    pub(super) fn at_mut(&mut self, slot: usize) -> &mut Key {
        &mut self.keys[slot]
    }

    /// The key in a slot of [`written`](Keys::written).
    pub(super) fn key(&self, slot: usize) -> i64 {
        self.entries[self.keys[slot].start as usize].key
    }

    /// The last acknowledged write. O(writes of the key).
    pub(super) fn last(&self, slot: usize) -> Option<&Entry> {
        last_acknowledged(self.writes(slot))
    }

    /// Acknowledged writes of all keys.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = &Entry> {
        let acknowledged = |entry: &&Entry| entry.fate() == Fate::Acknowledged;
        self.entries.iter().filter(acknowledged)
    }

    /// What to make of a version seen. O(1) for the usual one, O(log writes of the key) for others.
    pub(super) fn content(&self, slot: usize, version: i64) -> Content {
        let key = &self.keys[slot];
        if key.last == Some(Action::Put) && key.last_version == version {
            return Content::Acknowledged;
        }
        let writes = self.writes(slot);
        let first = writes.partition_point(|write| write.version < version);
        let mut content = Content::Phantom;
        for write in writes[first..]
            .iter()
            .take_while(|write| write.version == version)
        {
            match (write.action(), write.fate()) {
                (Action::Put, Fate::Indeterminate) => return Content::Indeterminate,
                (Action::Put, Fate::Acknowledged) => content = Content::Older,
                _ => {}
            }
        }
        content
    }

    /// Whether an indeterminate delete may have removed the document. O(writes of the key).
    pub(super) fn maybe_deleted(&self, slot: usize) -> bool {
        self.writes(slot)
            .iter()
            .any(|write| write.action() == Action::Delete && write.fate() == Fate::Indeterminate)
    }

    fn writes(&self, slot: usize) -> &[Entry] {
        let start = self.keys[slot].start as usize;
        let end = self
            .keys
            .get(slot + 1)
            .map_or(self.entries.len(), |next| next.start as usize);
        &self.entries[start..end]
    }
}

impl Slots {
    fn new(entries: &[Entry], keys: &[Key]) -> Self {
        let numbers = || keys.iter().map(|key| entries[key.start as usize].key);
        let (Some(first), Some(last)) = (numbers().next(), numbers().next_back()) else {
            return Slots::Contiguous { first: 0, len: 0 };
        };
        let span = last.abs_diff(first).saturating_add(1);
        if span == keys.len() as u64 {
            return Slots::Contiguous {
                first,
                len: keys.len(),
            };
        }
        if span > 4 * keys.len() as u64 {
            return Slots::Hash(numbers().zip(0..).collect());
        }
        let mut slots = vec![NONE; span as usize];
        for (key, slot) in numbers().zip(0..) {
            slots[key.abs_diff(first) as usize] = slot;
        }
        Slots::Table { first, slots }
    }
}

fn offset(key: i64, first: i64) -> Option<usize> {
    usize::try_from(key.checked_sub(first)?).ok()
}

/// The acknowledged write invoked last, among the writes of one key.
fn last_acknowledged(writes: &[Entry]) -> Option<&Entry> {
    let acknowledged = writes
        .iter()
        .filter(|write| write.fate() == Fate::Acknowledged);
    acknowledged.max_by_key(|write| (write.time_ns(), write.version))
}

/// Removes the reads, and counts those that saw a version before a put of it was invoked that did
/// not fail.
fn drop_reads(entries: &mut Vec<Entry>) -> u64 {
    let mut impossible = 0;
    for same_version in entries.chunk_by(|a, b| (a.key, a.version) == (b.key, b.version)) {
        let invoked = same_version
            .iter()
            .find(|entry| entry.action() == Action::Put && entry.fate() != Fate::Failed)
            .map(Entry::time_ns);
        impossible += same_version
            .iter()
            .filter(|entry| entry.action() == Action::Read)
            .filter(|read| invoked.is_none_or(|invoked| read.time_ns() < invoked))
            .count() as u64;
    }
    entries.retain(|entry| entry.action() != Action::Read);
    impossible
}
