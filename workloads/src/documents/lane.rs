//! One writer's keys: which it has, which of them live, what it does next.
//!
//! A lane believes that everything it asks for happens, so what it offers does not depend on what
//! the system answers. Its keys are `slot * width + number` for the slots 0, 1, 2, ...: the keys of
//! all lanes together leave no gaps as long as the lanes grow alike.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::documents::Mix;
use crate::documents::mix::Kind;
use crate::operation::{Operation, Write};

/// ChaCha stream of lane 0; the other lanes' streams follow. Apart from the streams below, which
/// are for other actors of a run.
const FIRST_STREAM: u64 = 1 << 32;

#[derive(Debug)]
pub(super) struct Lane {
    number: u32,
    width: u32,
    rng: ChaCha8Rng,
    /// Last version given, by slot.
    versions: Vec<u32>,
    /// Slots whose last write is a put.
    live: Vec<u32>,
    /// Slots whose last write is a delete.
    deleted: Vec<u32>,
}

impl Lane {
    /// Lane `number` of `width`.
    pub(super) fn new(seed: u64, number: u32, width: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(FIRST_STREAM + u64::from(number));
        Lane {
            number,
            width,
            rng,
            versions: Vec::new(),
            live: Vec::new(),
            deleted: Vec::new(),
        }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Keys it ever wrote: slots `0..slots()`.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.versions.len()).expect("slots are u32")
    }

    /// The next request, of at most `most` documents. Distinct keys within a request.
    ///
    /// An update, delete or read when no key lives becomes an insert. An insert takes a deleted key
    /// again every second time, if there is one, else a new key.
    pub(super) fn next(&mut self, mix: &Mix, most: u32) -> Operation {
        match mix.draw(&mut self.rng) {
            Kind::Insert => self.insert(most),
            _ if self.live.is_empty() => self.insert(most),
            Kind::Update => {
                let from = self.draw_live(most);
                Operation::Put(
                    (from..self.live.len())
                        .map(|at| self.write(self.live[at]))
                        .collect(),
                )
            }
            Kind::Delete => {
                let from = self.draw_live(most);
                let gone = self.live.split_off(from);
                let writes = gone.iter().map(|slot| self.write(*slot)).collect();
                self.deleted.extend(gone);
                Operation::Delete(writes)
            }
            Kind::Read => {
                let at = self.draw_live(1);
                Operation::Read {
                    key: self.key(self.live[at]),
                }
            }
        }
    }

    fn insert(&mut self, most: u32) -> Operation {
        let writes = (0..most).map(|_| {
            let again = !self.deleted.is_empty() && self.rng.random_range(0..2u32) == 0;
            let slot = if again {
                let at = self.rng.random_range(0..index(self.deleted.len()));
                self.deleted.swap_remove(at as usize)
            } else {
                let slot = self.slots();
                self.versions.push(0);
                slot
            };
            self.live.push(slot);
            self.write(slot)
        });
        Operation::Put(writes.collect())
    }

    /// Moves `most` live slots (or all, if fewer), drawn uniformly, to the end of `live`; returns
    /// where they begin. A Fisher-Yates shuffle that stops early.
    fn draw_live(&mut self, most: u32) -> usize {
        let len = index(self.live.len());
        let from = len - most.min(len);
        for end in (from..len).rev() {
            let at = self.rng.random_range(0..=end);
            self.live.swap(at as usize, end as usize);
        }
        from as usize
    }

    fn write(&mut self, slot: u32) -> Write {
        let version = &mut self.versions[slot as usize];
        *version += 1;
        Write {
            version: i64::from(*version),
            key: self.key(slot),
        }
    }

    fn key(&self, slot: u32) -> i64 {
        i64::from(slot) * i64::from(self.width) + i64::from(self.number)
    }
}

/// Random ranges are drawn over `u32`, so that they do not depend on the platform's word.
fn index(len: usize) -> u32 {
    u32::try_from(len).expect("no more entries than slots")
}
