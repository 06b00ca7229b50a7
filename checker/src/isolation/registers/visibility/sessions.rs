//! Causal views by session: how far into each session a transaction sees.
//!
//! One pass in the order of session and reads. Some sessions at a time, so that memory is linear; and from
//! the first of their transactions to the last read of what they wrote, so that many short sessions cost no
//! more than a few long ones.

use std::ops::Range;

use super::super::super::transactions::NONE;
use super::super::interactions::Registers;
use super::constraints::Constraints;

/// Sessions per pass.
const LANES: usize = 16;

/// Where to look for what.
pub(super) struct Plan {
    passes: Vec<Range<u32>>,
    /// Transactions times sessions that are looked at.
    pub(super) cost: u64,
}

impl Plan {
    /// Finds out. Linear time.
    pub(super) fn new(registers: &Registers<'_>, constraints: &Constraints) -> Self {
        let passes = passes(registers, constraints);
        let length = |pass: &Range<u32>| u64::from(pass.end - pass.start) * LANES as u64;
        Plan {
            cost: passes.iter().map(length).sum(),
            passes,
        }
    }

    /// Adds the constraints of causal views.
    pub(super) fn add(&self, registers: &Registers<'_>, constraints: &mut Constraints) {
        add(registers, constraints, &self.passes);
    }
}

fn add(registers: &Registers<'_>, constraints: &mut Constraints, passes: &[Range<u32>]) {
    let writes = Writes::new(registers, constraints);
    let steps = Steps::new(registers, constraints);
    let members = std::mem::take(&mut constraints.sessions);
    // Per key, the groups of the pass's sessions.
    let mut concerned: Vec<(u32, u32)> = vec![(0, 0); registers.history.keys() as usize];
    // Per position since the pass began, how many transactions of each session are seen from there, or end
    // there.
    let mut sees: Vec<Seen> = Vec::new();
    for (number, pass) in passes.iter().cloned().enumerate() {
        let sessions = (number * LANES) as u32..((number + 1) * LANES) as u32;
        let written = written(registers, &members, &sessions);
        for key in written.clone() {
            concerned[key as usize] = writes.by(key, &sessions);
        }
        sees.clear();
        for position in pass.clone() {
            let step = &steps.all[position as usize];
            let reads = steps.reads(position);
            // What was before the pass saw nothing of its sessions.
            let seen_from = |before: u32| -> Option<&Seen> {
                (before < position)
                    .then(|| before.checked_sub(pass.start))?
                    .map(|at| &sees[at as usize])
            };
            let mut seen: Seen = [0; LANES];
            let own = std::iter::once(step.before);
            for before in own.chain(reads.iter().map(|read| read.from)) {
                if let Some(other) = seen_from(before) {
                    for (seen, other) in seen.iter_mut().zip(other) {
                        *seen = (*seen).max(*other);
                    }
                }
            }
            for read in reads {
                let (first, last) = concerned[read.key as usize];
                for (session, writers) in writes.among(first..last) {
                    let lane = (session - sessions.start) as usize;
                    // The last of the session's writes that is seen; what the transaction read from had
                    // seen comes before it anyway.
                    let number = writers.partition_point(|(place, _)| *place < seen[lane]);
                    let Some((place, other)) = number.checked_sub(1).map(|last| writers[last])
                    else {
                        continue;
                    };
                    if seen_from(read.from).is_none_or(|seen| place >= seen[lane]) {
                        let at = |position: u32| constraints.order.get(position as usize).copied();
                        let (from, txn) = (
                            at(read.from).unwrap_or(NONE),
                            constraints.order[position as usize],
                        );
                        constraints.must_precede(other, from, txn, read.key);
                    }
                }
            }
            if sessions.contains(&step.session) {
                seen[(step.session - sessions.start) as usize] = step.place + 1;
            }
            sees.push(seen);
        }
        for key in written {
            concerned[key as usize] = (0, 0);
        }
    }
    constraints.sessions = members;
}

/// The keys that some sessions wrote, as often as they did.
fn written<'a>(
    registers: &'a Registers<'_>,
    members: &'a [Vec<u32>],
    sessions: &Range<u32>,
) -> impl Iterator<Item = u32> + Clone + 'a {
    let end = members.len().min(sessions.end as usize);
    let txns = members[sessions.start as usize..end].iter().flatten();
    let interactions = txns.flat_map(|txn| registers.of(*txn));
    interactions
        .filter(|one| one.write != NONE)
        .map(|one| one.key)
}

/// Per session of a pass, how many of its transactions are seen.
type Seen = [u32; LANES];

/// For each pass, the positions that matter: from the first transaction of its sessions to the last that
/// reads what they wrote.
fn passes(registers: &Registers<'_>, constraints: &Constraints) -> Vec<Range<u32>> {
    let position = |txn: u32| constraints.position[txn as usize];
    let mut last_read = vec![0; registers.history.keys() as usize];
    for interaction in &registers.interactions {
        if interaction.read != NONE {
            let last = &mut last_read[interaction.key as usize];
            *last = position(interaction.txn).max(*last);
        }
    }
    let pass = |sessions: &[Vec<u32>]| {
        let all = || sessions.iter().flatten().copied();
        let written = |txn: u32| {
            let writes = registers.of(txn).iter().filter(|one| one.write != NONE);
            writes.map(|one| last_read[one.key as usize])
        };
        let first = all().map(position).min().unwrap_or(0);
        let last = all().flat_map(written).max().unwrap_or(0);
        first..first.max(last + 1)
    };
    constraints.sessions.chunks(LANES).map(pass).collect()
}

/// What leads to the transaction at a position of the order.
struct Step {
    /// The position of the one before in its session, or [`NONE`].
    before: u32,
    /// Its session, or [`NONE`], and its place there.
    session: u32,
    place: u32,
    /// Where its reads begin.
    reads: u32,
}

/// A read of what was there at first or a transaction left.
struct Read {
    key: u32,
    /// The position of the transaction, or [`NONE`].
    from: u32,
}

/// The transactions by position.
struct Steps {
    all: Vec<Step>,
    reads: Vec<Read>,
}

impl Steps {
    fn new(registers: &Registers<'_>, constraints: &Constraints) -> Self {
        let mut steps = Steps {
            all: Vec::with_capacity(constraints.order.len()),
            reads: Vec::with_capacity(registers.interactions.len()),
        };
        let position = |txn: u32| match txn {
            NONE => NONE,
            txn => constraints.position[txn as usize],
        };
        for txn in &constraints.order {
            steps.all.push(Step {
                before: constraints.before(*txn).map_or(NONE, position),
                session: constraints.session[*txn as usize],
                place: constraints.place[*txn as usize],
                reads: steps.reads.len() as u32,
            });
            for interaction in registers.of(*txn) {
                let version = interaction.read;
                if version == NONE {
                    continue;
                }
                let writer = registers.writer[version as usize];
                if writer != NONE || registers.is_initial(version) {
                    steps.reads.push(Read {
                        key: interaction.key,
                        from: position(writer),
                    });
                }
            }
        }
        steps
    }

    fn reads(&self, position: u32) -> &[Read] {
        let next = self.all.get(position as usize + 1);
        let end = next.map_or(self.reads.len(), |next| next.reads as usize);
        &self.reads[self.all[position as usize].reads as usize..end]
    }
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

    /// Where the groups of some sessions that wrote a key are.
    fn by(&self, key: u32, sessions: &Range<u32>) -> (u32, u32) {
        let row = self.rows[key as usize]..self.rows[key as usize + 1];
        let groups = &self.groups[row.start as usize..row.end as usize];
        let until = |session: u32| groups.partition_point(|group| group.0 < session) as u32;
        (
            row.start + until(sessions.start),
            row.start + until(sessions.end),
        )
    }

    /// Sessions and where in them they wrote, of some groups.
    fn among(&self, groups: Range<u32>) -> impl Iterator<Item = (u32, &[(u32, u32)])> {
        let groups = &self.groups[groups.start as usize..groups.end as usize];
        groups
            .iter()
            .map(|(session, from, to)| (*session, &self.places[*from as usize..*to as usize]))
    }
}
