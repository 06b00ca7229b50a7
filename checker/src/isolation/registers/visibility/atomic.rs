//! Atomic and monotonic views: whoever reads one write of a transaction sees all of it.

use super::super::super::transactions::NONE;
use super::super::interactions::{Interaction, Registers};
use super::constraints::Constraints;

/// Adds the constraints of atomic views; `from_then_on`: only on what is read later, which is what
/// AWDIT and Plume call read committed.
pub(super) fn add(registers: &Registers<'_>, constraints: &mut Constraints, from_then_on: bool) {
    let mut last: Vec<u32> = vec![NONE; registers.history.keys() as usize];
    let sessions = std::mem::take(&mut constraints.sessions);
    for members in &sessions {
        for txn in members {
            for interaction in registers.of(*txn) {
                // The own session's last write before.
                let before = last[interaction.key as usize];
                if before != NONE && interaction.read != NONE && !from_then_on {
                    let writer = writer_of(registers, interaction.read);
                    must(registers, constraints, before, writer, interaction);
                }
            }
            for interaction in registers.of(*txn) {
                if interaction.write != NONE {
                    last[interaction.key as usize] = *txn;
                }
            }
        }
        for txn in members {
            for interaction in registers.of(*txn) {
                last[interaction.key as usize] = NONE;
            }
        }
    }
    constraints.sessions = sessions;
    for txn in 0..registers.history.txns().len() as u32 {
        let interactions = registers.of(txn);
        if interactions.len() < 2 {
            continue;
        }
        for seen in interactions {
            let writer = writer_of(registers, seen.read);
            if writer == NONE || writer == txn {
                continue;
            }
            for_both(registers.of(writer), interactions, |written, read| {
                if written.write != NONE
                    && read.read != NONE
                    && (!from_then_on || read.read_at > seen.read_at)
                {
                    let from = writer_of(registers, read.read);
                    must(registers, constraints, writer, from, read);
                }
            });
        }
    }
}

/// The transaction that left a version behind, or [`NONE`].
fn writer_of(registers: &Registers<'_>, version: u32) -> u32 {
    if version == NONE {
        NONE
    } else {
        registers.writer[version as usize]
    }
}

fn must(
    registers: &Registers<'_>,
    constraints: &mut Constraints,
    other: u32,
    from: u32,
    read: &Interaction,
) {
    // Versions that nobody left behind, but for the initial one, are anomalies of their own.
    if from != NONE || registers.is_initial(read.read) {
        constraints.must_precede(other, from, read.txn, read.key);
    }
}

/// Calls `each` with the interactions of two transactions with the same key. Takes time in the smaller
/// number of them, but for a logarithm.
fn for_both(
    a: &[Interaction],
    b: &[Interaction],
    mut each: impl FnMut(&Interaction, &Interaction),
) {
    let find = |all: &'_ [Interaction], key: u32| all.binary_search_by_key(&key, |i| i.key).ok();
    if a.len() <= b.len() {
        for one in a {
            if let Some(at) = find(b, one.key) {
                each(one, &b[at]);
            }
        }
    } else {
        for other in b {
            if let Some(at) = find(a, other.key) {
                each(&a[at], other);
            }
        }
    }
}
