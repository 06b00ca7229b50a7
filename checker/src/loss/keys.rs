//! The writes of each key, found by key in O(1).

use hashbrown::HashMap;

use super::write_log::{Action, Entry, Fate};

/// Marks a key without acknowledged write, and a key without slot.
const NONE: u32 = u32::MAX;

/// All keys of a history, in order; a key's position is its *slot*.
#[derive(Debug)]
pub(super) struct Keys {
    /// Writes by key and version.
    entries: Vec<Entry>,
    groups: Vec<Group>,
    slots: Slots,
}

/// The writes of one key: from `start` to the start of the next group.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: u32,
    /// Index of the last acknowledged write, or [`NONE`].
    last: u32,
}

/// Slot by key: an array where the keys are dense, as those of our workloads are.
#[derive(Debug)]
enum Slots {
    Dense { first: i64, slots: Vec<u32> },
    Sparse(HashMap<i64, u32>),
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
        let mut groups: Vec<Group> = Vec::new();
        let mut start = 0;
        for group in entries.chunk_by(|a, b| a.key == b.key) {
            let last = (0..)
                .zip(group)
                .filter(|(_, entry)| entry.fate() == Fate::Acknowledged)
                .max_by_key(|(_, entry)| (entry.time_ns(), entry.version))
                .map_or(NONE, |(index, _): (u32, _)| start + index);
            groups.push(Group { start, last });
            start += group.len() as u32;
        }
        groups.shrink_to_fit();
        let slots = Slots::new(&entries, &groups);
        (
            Keys {
                entries,
                groups,
                slots,
            },
            impossible_reads,
        )
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn slot(&self, key: i64) -> Option<usize> {
        let slot = match &self.slots {
            Slots::Dense { first, slots } => {
                *slots.get(usize::try_from(key.checked_sub(*first)?).ok()?)?
            }
            Slots::Sparse(slots) => *slots.get(&key)?,
        };
        (slot != NONE).then_some(slot as usize)
    }

    pub(super) fn key(&self, slot: usize) -> i64 {
        self.entries[self.groups[slot].start as usize].key
    }

    /// The last acknowledged write.
    pub(super) fn last(&self, slot: usize) -> Option<&Entry> {
        // NONE is never an index: the log is shorter.
        self.entries.get(self.groups[slot].last as usize)
    }

    /// Acknowledged writes of all keys.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.fate() == Fate::Acknowledged)
    }

    /// What to make of a version seen. O(log writes of the key).
    pub(super) fn content(&self, slot: usize, version: i64) -> Content {
        let last = self.last(slot);
        if last.is_some_and(|last| last.version == version && last.action() == Action::Put) {
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
        let start = self.groups[slot].start as usize;
        let end = self
            .groups
            .get(slot + 1)
            .map_or(self.entries.len(), |next| next.start as usize);
        &self.entries[start..end]
    }
}

impl Slots {
    fn new(entries: &[Entry], groups: &[Group]) -> Self {
        let keys = || groups.iter().map(|group| entries[group.start as usize].key);
        let (Some(first), Some(last)) = (keys().next(), keys().next_back()) else {
            return Slots::Sparse(HashMap::new());
        };
        let span = last.abs_diff(first).saturating_add(1);
        if span > 4 * groups.len() as u64 {
            return Slots::Sparse(keys().zip(0..).collect());
        }
        let mut slots = vec![NONE; span as usize];
        for (key, slot) in keys().zip(0..) {
            slots[key.abs_diff(first) as usize] = slot;
        }
        Slots::Dense { first, slots }
    }
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
