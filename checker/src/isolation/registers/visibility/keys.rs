//! Causal views by key: which of a key's writers a transaction sees, a bit for each.
//!
//! What tests write to is a few keys at a time, each so many times. A block of a key's writers takes a
//! lane from its first write to the last read of the key, and then leaves it to another: so there are as
//! many lanes as keys in use, however many sessions there are. What a transaction sees is kept until the
//! last that reads from it or follows it in its session, so that little memory is enough.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::super::transactions::NONE;
use super::super::interactions::{Interaction, Registers};
use super::constraints::Constraints;

/// Lanes per pass.
const LANES: usize = 32;

/// Writers per block.
const WRITERS: u32 = u32::BITS;

/// Which blocks there are, and their lanes.
pub(super) struct Plan {
    /// Per key, where its blocks begin.
    rows: Vec<u32>,
    /// Per block, its lane, or [`NONE`] if the key is not read after its first write.
    lanes: Vec<u32>,
    /// Per key, the position of its last read. Whoever writes it later is of no interest.
    last_read: Vec<u32>,
    /// Per position, the last that it leads to directly, or 0.
    until: Vec<u32>,
    passes: u32,
    /// How many lanes of positions, and blocks of reads, are looked at.
    pub(super) cost: u64,
}

impl Plan {
    /// Gives lanes to blocks, in O(n log n).
    pub(super) fn new(registers: &Registers<'_>, constraints: &Constraints) -> Self {
        let keys = registers.history.keys() as usize;
        let mut writers = vec![0u32; keys];
        let mut reads = vec![0u32; keys];
        let mut last_read = vec![0u32; keys];
        for interaction in &registers.interactions {
            let key = interaction.key as usize;
            writers[key] += u32::from(interaction.write != NONE);
            if interaction.read != NONE {
                reads[key] += 1;
                let position = constraints.position[interaction.txn as usize];
                last_read[key] = position.max(last_read[key]);
            }
        }
        let mut rows = vec![0u32; keys + 1];
        let mut looked_up = 0;
        for key in 0..keys {
            let blocks = writers[key].div_ceil(WRITERS);
            rows[key + 1] = rows[key] + blocks;
            looked_up += u64::from(reads[key]) * u64::from(blocks);
        }
        let mut lanes = vec![NONE; rows[keys] as usize];
        let mut until = vec![0; constraints.order.len()];
        // Lanes that are taken, by until when.
        let mut taken: BinaryHeap<Reverse<(u32, u32)>> = BinaryHeap::new();
        let mut written = writers;
        written.fill(0);
        for (position, txn) in (0..).zip(&constraints.order) {
            for before in constraints.direct(registers, *txn) {
                until[constraints.position[before as usize] as usize] = position;
            }
            for key in written_by(registers, *txn) {
                let number = written[key as usize];
                written[key as usize] += 1;
                let end = last_read[key as usize];
                if number.is_multiple_of(WRITERS) && position < end {
                    let free = taken.peek().filter(|next| next.0.0 <= position);
                    let lane = free.map_or(taken.len() as u32, |next| next.0.1);
                    if free.is_some() {
                        taken.pop();
                    }
                    taken.push(Reverse((end, lane)));
                    lanes[(rows[key as usize] + number / WRITERS) as usize] = lane;
                }
            }
        }
        let passes = taken.len().div_ceil(LANES);
        let positions = (constraints.order.len() * LANES) as u64;
        Plan {
            rows,
            lanes,
            last_read,
            until,
            passes: passes as u32,
            cost: passes as u64 * (positions + looked_up),
        }
    }

    /// Adds the constraints of causal views.
    pub(super) fn add(&self, registers: &Registers<'_>, constraints: &mut Constraints) {
        for pass in 0..self.passes {
            self.pass(pass * LANES as u32, registers, constraints);
        }
    }

    fn pass(&self, first_lane: u32, registers: &Registers<'_>, constraints: &mut Constraints) {
        let lane = |block: u32| {
            let lane = self.lanes[block as usize].wrapping_sub(first_lane) as usize;
            (lane < LANES).then_some(lane)
        };
        let mut written = vec![0u32; registers.history.keys() as usize];
        // Per lane, its block's first writer's position, and its block's writers.
        let mut begins = [0u32; LANES];
        let mut writers = [[NONE; WRITERS as usize]; LANES];
        let mut views = Views::new(constraints.order.len());
        for position in 0..constraints.order.len() {
            let txn = constraints.order[position];
            let mut seen: Seen = [0; LANES];
            for before in constraints.direct(registers, txn) {
                let before = constraints.position[before as usize];
                let also = views.of(before);
                for lane in 0..LANES {
                    // What was before the block says something of another.
                    let known = if begins[lane] <= before {
                        also[lane]
                    } else {
                        0
                    };
                    seen[lane] |= known;
                }
            }
            for read in registers.of(txn) {
                let from = match read.read {
                    NONE => continue,
                    version => registers.writer[version as usize],
                };
                if from == NONE && !registers.is_initial(read.read) {
                    continue;
                }
                let row = self.rows[read.key as usize];
                let begun = written[read.key as usize].div_ceil(WRITERS);
                for lane in (row..row + begun).filter_map(lane) {
                    let mut others = seen[lane];
                    if others != 0 && from != NONE && from != txn {
                        // What the transaction read from had seen comes before it anyway.
                        let from = constraints.position[from as usize];
                        if begins[lane] <= from {
                            others &= !views.of(from)[lane];
                        }
                    }
                    while others != 0 {
                        let other = writers[lane][others.trailing_zeros() as usize];
                        constraints.must_precede(other, from, txn, read.key);
                        others &= others - 1;
                    }
                }
            }
            for key in written_by(registers, txn) {
                let number = written[key as usize];
                written[key as usize] += 1;
                if self.last_read[key as usize] <= position as u32 {
                    continue;
                }
                let Some(lane) = lane(self.rows[key as usize] + number / WRITERS) else {
                    continue;
                };
                let bit = number % WRITERS;
                if bit == 0 {
                    begins[lane] = position as u32;
                    seen[lane] = 0;
                }
                seen[lane] |= 1 << bit;
                writers[lane][bit as usize] = txn;
            }
            for before in constraints.direct(registers, txn) {
                let before = constraints.position[before as usize];
                if self.until[before as usize] == position as u32 {
                    views.forget(before);
                }
            }
            if self.until[position] != 0 {
                views.keep(position as u32, seen);
            }
        }
    }
}

/// The keys that a transaction wrote.
fn written_by<'a>(registers: &'a Registers<'_>, txn: u32) -> impl Iterator<Item = u32> + 'a {
    let writes = registers.of(txn).iter().filter(|one| one.write != NONE);
    writes.map(|one: &Interaction| one.key)
}

/// Per lane, the writers of its block that are seen.
type Seen = [u32; LANES];

/// What transactions see, as long as it matters.
struct Views {
    /// Per position, its place, or [`NONE`].
    places: Vec<u32>,
    kept: Vec<Seen>,
    free: Vec<u32>,
}

impl Views {
    fn new(positions: usize) -> Self {
        Views {
            places: vec![NONE; positions],
            kept: Vec::new(),
            free: Vec::new(),
        }
    }

    fn keep(&mut self, position: u32, seen: Seen) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.kept.push([0; LANES]);
            self.kept.len() as u32 - 1
        });
        self.kept[place as usize] = seen;
        self.places[position as usize] = place;
    }

    fn of(&self, position: u32) -> &Seen {
        &self.kept[self.places[position as usize] as usize]
    }

    fn forget(&mut self, position: u32) {
        let place = std::mem::replace(&mut self.places[position as usize], NONE);
        if place != NONE {
            self.free.push(place);
        }
    }
}
