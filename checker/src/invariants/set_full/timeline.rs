//! What became of every element of a set that is added to and read as a whole.
//!
//! After Jepsen's `set-full` checker (<https://github.com/jepsen-io/jepsen>, `jepsen.checker`), which
//! updates every element at every read. Here an element is touched only when it appears or vanishes: its
//! presence is constant over a run of reads, and of a run only the read called last counts.

use hashbrown::HashMap;

/// A place in a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the event.
    pub at: u32,
    /// Its time, nanoseconds; 0 throughout where times are not known.
    pub time_ns: u64,
}

/// A read that was answered.
#[derive(Debug, Clone, Copy)]
struct Read {
    called: Place,
    answered: Place,
}

const NONE: u32 = u32::MAX;

/// An element so far. Reads are counted in the order in which they were answered.
#[derive(Debug, Clone)]
struct Element {
    /// The event of the first call that adds it; `NONE` if there is none.
    called_at: u32,
    /// Calls that add it and did not fail.
    attempts: u32,
    /// The event and time of the first `ok`.
    acknowledged: Option<Place>,
    /// The first read that had it.
    first_seen: u32,
    /// Place among the present elements; `NONE` if it is absent.
    slot: u32,
    /// The first read of the run since which it is present, or absent.
    since: u32,
    /// Of the reads that had it, in earlier runs, the one called last.
    last_present: u32,
    /// Of the reads that lacked it, in earlier runs, the one called last.
    last_absent: u32,
    /// The last read whose list had it.
    listed: u32,
}

/// What became of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The last read that was called has it. `late_ns` is `Some` if a read called after it was known to be
    /// in the set lacked it (it is stale): how long that went on.
    Stable {
        /// From when it was known until the last read without it was called.
        late_ns: Option<u64>,
    },
    /// Known to be in the set, and absent from the reads called last.
    Lost {
        /// From when it was known until the last read with it was called; 0 if none had it.
        after_ns: u64,
    },
    /// Not known to have been added, or never looked for since.
    NeverRead,
    /// Its calls failed, and no read has it: all is well.
    NotAdded,
    /// Reads have it though nobody added it: not at all, not yet, or only by calls that failed.
    Unexpected,
}

/// Follows elements (dense numbers from 0) through a history.
///
/// O(elements + listed elements + changes · log c + reads) for c reads in flight at a time; nothing is
/// done for an element at a read where it stays present or absent, but for looking at what a whole read lists.
/// 48 bytes for each element, 32 for each read.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    elements: Vec<Element>,
    reads: Vec<Read>,
    /// Reads that no later one was called after: calls fall from bottom to top.
    latest: Vec<u32>,
    /// Elements that the last read had.
    present: Vec<u32>,
    /// Most copies of an element in one read, where more than one.
    copies: HashMap<u32, u32>,
}

impl Timeline {
    /// A call that adds an element.
    pub fn add(&mut self, element: u32, called: Place) {
        let reads = self.reads.len() as u32;
        let element = self.element(element);
        if element.called_at == NONE {
            element.called_at = called.at;
            if element.slot == NONE {
                element.since = reads;
                element.last_absent = NONE;
            }
        }
        element.attempts += 1;
    }

    /// The call that added it was `ok`.
    pub fn added(&mut self, element: u32, answered: Place) {
        self.element(element).acknowledged.get_or_insert(answered);
    }

    /// The call did not add it.
    pub fn not_added(&mut self, element: u32) {
        let element = self.element(element);
        element.attempts = element.attempts.saturating_sub(1);
    }

    /// A read answered with all elements. Elements may be listed twice: they are duplicated then.
    pub fn read(&mut self, called: Place, answered: Place, listed: &[u32]) {
        let read = self.reads.len() as u32;
        let present = self.present.len();
        let mut stayed = 0;
        let mut twice: HashMap<u32, u32> = HashMap::new();
        for &number in listed {
            let element = self.element(number);
            if element.listed == read {
                *twice.entry(number).or_insert(1) += 1;
                continue;
            }
            element.listed = read;
            match element.slot {
                NONE => self.appear(number),
                _ => stayed += 1,
            }
        }
        for (element, copies) in twice {
            let most = self.copies.entry(element).or_insert(0);
            *most = copies.max(*most);
        }
        if stayed < present {
            let gone = |&number: &u32| self.elements[number as usize].listed != read;
            let gone: Vec<u32> = self.present.iter().copied().filter(gone).collect();
            gone.into_iter().for_each(|number| self.vanish(number));
        }
        self.push(called, answered);
    }

    /// A read answered with what changed since the read answered before it.
    pub fn read_changes(
        &mut self,
        called: Place,
        answered: Place,
        appeared: &[u32],
        vanished: &[u32],
    ) {
        for &number in appeared {
            if self.element(number).slot == NONE {
                self.appear(number);
            }
        }
        for &number in vanished {
            if self.element(number).slot != NONE {
                self.vanish(number);
            }
        }
        self.push(called, answered);
    }

    /// Reads so far.
    pub fn reads(&self) -> usize {
        self.reads.len()
    }

    /// Elements so far.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Elements of which one read had several copies, with the most it had.
    pub fn copies(&self) -> impl Iterator<Item = (u32, u32)> {
        self.copies
            .iter()
            .map(|(&element, &copies)| (element, copies))
    }

    /// The event that showed first that the element is in the set: an `ok`, or a read's answer.
    pub fn known_at(&self, element: u32) -> Option<u32> {
        self.known(&self.elements[element as usize])
            .map(|place| place.at)
    }

    /// When the first call that added it was acknowledged.
    pub fn acknowledged(&self, element: u32) -> Option<Place> {
        self.elements[element as usize].acknowledged
    }

    /// The event of the call of the last read that lacks the element.
    pub fn last_absent_at(&self, element: u32) -> Option<u32> {
        let (_, absent) = self.last(&self.elements[element as usize]);
        absent.map(|place| place.at)
    }

    /// What became of an element.
    pub fn fate(&self, element: u32) -> Fate {
        let element = &self.elements[element as usize];
        if element.first_seen != NONE {
            let seen = self.reads[element.first_seen as usize].answered;
            if element.attempts == 0 || seen.at < element.called_at {
                return Fate::Unexpected;
            }
        } else if element.attempts == 0 {
            return Fate::NotAdded;
        }
        let (present, absent) = self.last(element);
        let Some(known) = self.known(element) else {
            return Fate::NeverRead;
        };
        match (present, absent) {
            (Some(present), Some(absent)) if absent.at < present.at => Fate::Stable {
                late_ns: (known.at < absent.at).then(|| since(known, absent)),
            },
            (Some(_), None) => Fate::Stable { late_ns: None },
            (present, Some(absent)) if known.at < absent.at => Fate::Lost {
                after_ns: present.map_or(0, |present| since(known, present)),
            },
            _ => Fate::NeverRead,
        }
    }

    fn element(&mut self, number: u32) -> &mut Element {
        let at = number as usize;
        if at >= self.elements.len() {
            let new = Element {
                called_at: NONE,
                attempts: 0,
                acknowledged: None,
                first_seen: NONE,
                slot: NONE,
                since: self.reads.len() as u32,
                last_present: NONE,
                last_absent: NONE,
                listed: NONE,
            };
            self.elements.resize(at + 1, new);
        }
        &mut self.elements[at]
    }

    fn appear(&mut self, number: u32) {
        let read = self.reads.len() as u32;
        let run = self.last_called_since(self.elements[number as usize].since);
        let slot = self.present.len() as u32;
        self.present.push(number);
        let reads = &self.reads;
        let element = &mut self.elements[number as usize];
        element.last_absent = later(reads, element.last_absent, run);
        element.slot = slot;
        element.since = read;
        element.first_seen = element.first_seen.min(read);
    }

    fn vanish(&mut self, number: u32) {
        let read = self.reads.len() as u32;
        let run = self.last_called_since(self.elements[number as usize].since);
        let reads = &self.reads;
        let element = &mut self.elements[number as usize];
        element.last_present = later(reads, element.last_present, run);
        element.since = read;
        let slot = std::mem::replace(&mut element.slot, NONE) as usize;
        self.present.swap_remove(slot);
        if let Some(&moved) = self.present.get(slot) {
            self.elements[moved as usize].slot = slot as u32;
        }
    }

    fn push(&mut self, called: Place, answered: Place) {
        let reads = &self.reads;
        while self
            .latest
            .pop_if(|read| reads[*read as usize].called.at < called.at)
            .is_some()
        {}
        self.latest.push(self.reads.len() as u32);
        self.reads.push(Read { called, answered });
    }

    /// Of the reads from this one on, the one called last.
    fn last_called_since(&self, first: u32) -> u32 {
        let at = self.latest.partition_point(|read| *read < first);
        self.latest.get(at).copied().unwrap_or(NONE)
    }

    /// The calls of the last reads that have the element, and that lack it.
    fn last(&self, element: &Element) -> (Option<Place>, Option<Place>) {
        let run = self.last_called_since(element.since);
        let (mut present, mut absent) = (element.last_present, element.last_absent);
        match element.slot {
            NONE => absent = later(&self.reads, absent, run),
            _ => present = later(&self.reads, present, run),
        }
        let call = |read: u32| self.reads.get(read as usize).map(|read| read.called);
        (call(present), call(absent))
    }

    fn known(&self, element: &Element) -> Option<Place> {
        let seen = self.reads.get(element.first_seen as usize);
        let seen = seen.map(|read| read.answered);
        match (element.acknowledged, seen) {
            (Some(ok), Some(seen)) => Some(if ok.at < seen.at { ok } else { seen }),
            (ok, seen) => ok.or(seen),
        }
    }
}

/// Of two reads, either of which may be `NONE`, the one called later.
fn later(reads: &[Read], one: u32, other: u32) -> u32 {
    match (reads.get(one as usize), reads.get(other as usize)) {
        (Some(a), Some(b)) if a.called.at > b.called.at => one,
        (_, Some(_)) => other,
        _ => one,
    }
}

fn since(known: Place, until: Place) -> u64 {
    until
        .time_ns
        .saturating_add(1)
        .saturating_sub(known.time_ns)
}
