//! Causal views: whoever reads a write sees all that its transaction had seen.
//!
//! Per session, how far into it each transaction sees: one pass in the order of session and reads. Some
//! sessions at a time, so that memory is linear.

use super::super::super::transactions::NONE;
use super::super::interactions::Registers;
use super::constraints::Constraints;

/// Sessions per pass.
const LANES: usize = 8;

/// Operations times sessions that are judged at most: some ten seconds.
const MOST: u64 = 2_000_000_000;

/// Whether judging takes a reasonable time.
pub(super) fn is_feasible(registers: &Registers<'_>) -> bool {
    let mut processes: Vec<i64> = registers
        .history
        .txns()
        .iter()
        .map(|txn| txn.process)
        .collect();
    processes.sort_unstable();
    processes.dedup();
    processes.len() as u64 * registers.interactions.len() as u64 <= MOST
}

/// Adds the constraints of causal views.
pub(super) fn add(registers: &Registers<'_>, constraints: &mut Constraints) {
    let writes = Writes::new(registers, constraints);
    // Per transaction and session, how many transactions of the session it sees, or is the last of.
    let mut sees = vec![[0u32; LANES]; registers.history.txns().len()];
    let order = std::mem::take(&mut constraints.order);
    for first in (0..constraints.sessions.len()).step_by(LANES) {
        for txn in &order {
            let mut seen = [0u32; LANES];
            let session = constraints.session[*txn as usize];
            let place = constraints.place[*txn as usize];
            if session != NONE && place > 0 {
                seen = sees[constraints.sessions[session as usize][place as usize - 1] as usize];
            }
            for interaction in registers.of(*txn) {
                if interaction.read != NONE {
                    let writer = registers.writer[interaction.read as usize];
                    if writer != NONE && writer != *txn {
                        let of_writer = &sees[writer as usize];
                        for lane in 0..LANES {
                            seen[lane] = seen[lane].max(of_writer[lane]);
                        }
                    }
                }
            }
            for interaction in registers.of(*txn) {
                if interaction.read == NONE {
                    continue;
                }
                let from = registers.writer[interaction.read as usize];
                if from == NONE && !registers.is_initial(interaction.read) {
                    continue;
                }
                for (session, writers) in writes.of(interaction.key, first as u32, LANES as u32) {
                    let lane = (session - first as u32) as usize;
                    // The last of the session's writes that is seen; what `from` itself had seen comes
                    // before it anyway.
                    let number = writers.partition_point(|(place, _)| *place < seen[lane]);
                    if number > 0 {
                        let (place, other) = writers[number - 1];
                        let known = from != NONE && place < sees[from as usize][lane];
                        if other != from && !known {
                            constraints.must_precede(other, from, *txn, interaction.key);
                        }
                    }
                }
            }
            if session != NONE {
                let lane = (session as usize).wrapping_sub(first);
                if lane < LANES {
                    seen[lane] = place + 1;
                }
            }
            sees[*txn as usize] = seen;
        }
    }
    constraints.order = order;
}

/// Per key and session, the places of transactions that wrote the key.
struct Writes {
    /// Per key, where its groups begin.
    rows: Vec<u32>,
    /// A session, and from where to where its places are.
    groups: Vec<(u32, u32, u32)>,
    /// A place in a session and the transaction there.
    places: Vec<(u32, u32)>,
}

impl Writes {
    fn new(registers: &Registers<'_>, constraints: &Constraints) -> Self {
        let keys = registers.history.keys() as usize;
        let mut counts = vec![0u32; keys + 1];
        let session = |txn: u32| constraints.session[txn as usize];
        let own = registers
            .interactions
            .iter()
            .filter(|interaction| interaction.write != NONE && session(interaction.txn) != NONE);
        for interaction in own.clone() {
            counts[interaction.key as usize + 1] += 1;
        }
        for key in 0..keys {
            counts[key + 1] += counts[key];
        }
        let mut next = counts.clone();
        let mut all = vec![(0, 0, 0); *counts.last().unwrap_or(&0) as usize];
        for interaction in own {
            let txn = interaction.txn;
            let at = &mut next[interaction.key as usize];
            all[*at as usize] = (session(txn), constraints.place[txn as usize], txn);
            *at += 1;
        }
        let mut writes = Writes {
            rows: vec![0],
            places: Vec::with_capacity(all.len()),
            groups: Vec::new(),
        };
        for key in 0..keys {
            let of_key = &mut all[counts[key] as usize..counts[key + 1] as usize];
            of_key.sort_unstable();
            for group in of_key.chunk_by(|a, b| a.0 == b.0) {
                let from = writes.places.len() as u32;
                writes
                    .places
                    .extend(group.iter().map(|(_, place, txn)| (*place, *txn)));
                writes
                    .groups
                    .push((group[0].0, from, writes.places.len() as u32));
            }
            writes.rows.push(writes.groups.len() as u32);
        }
        writes
    }

    /// The writes of a key by some sessions.
    fn of(
        &self,
        key: u32,
        first: u32,
        count: u32,
    ) -> impl Iterator<Item = (u32, &[(u32, u32)])> + '_ {
        let groups =
            &self.groups[self.rows[key as usize] as usize..self.rows[key as usize + 1] as usize];
        let from = groups.partition_point(|group| group.0 < first);
        let groups = groups[from..]
            .iter()
            .take_while(move |group| group.0 < first + count);
        groups.map(|(session, from, to)| (*session, &self.places[*from as usize..*to as usize]))
    }
}
