//! The order of versions in real time, if each key is linearizable.
//!
//! A version comes before another if some transaction that met it last had completed when one that met
//! the other first was invoked. So two moments per version say all: the earliest such completion and
//! the latest such invocation (P. Gibbons and E. Korach, "Testing shared memories", SIAM J. Comput.
//! 1997): linear where pairs would be quadratic.

use super::super::transactions::NONE;
use super::interactions::Registers;

/// The two moments of each version, and each key's versions by the second.
#[derive(Debug)]
pub(crate) struct Zones {
    /// Per version, the earliest completion of a transaction that met it last, or [`NONE`].
    completed: Vec<u32>,
    /// Per version, the latest invocation of a transaction that met it first, or [`NONE`].
    invoked: Vec<u32>,
    rows: Vec<u32>,
    by_invocation: Vec<u32>,
}

impl Zones {
    /// Finds them, in O(n log n) for sorting.
    pub(crate) fn new(registers: &Registers<'_>) -> Self {
        let versions = registers.versions() as usize;
        let mut completed = vec![NONE; versions];
        let mut invoked = vec![NONE; versions];
        for interaction in &registers.interactions {
            let txn = registers.history.txn(interaction.txn);
            let completed = &mut completed[interaction.last() as usize];
            *completed = (*completed).min(txn.completed);
            let invoked = &mut invoked[interaction.first() as usize];
            if txn.invoked != NONE && (*invoked == NONE || *invoked < txn.invoked) {
                *invoked = txn.invoked;
            }
        }
        let mut rows = vec![0u32; registers.history.keys() as usize + 1];
        for (version, key) in registers.key.iter().enumerate() {
            rows[*key as usize + 1] += u32::from(invoked[version] != NONE);
        }
        for key in 0..rows.len() - 1 {
            rows[key + 1] += rows[key];
        }
        let known = |version: &u32| invoked[*version as usize] != NONE;
        let mut by_invocation: Vec<u32> = (0..versions as u32).filter(known).collect();
        by_invocation.sort_unstable_by_key(|version| {
            (registers.key[*version as usize], invoked[*version as usize])
        });
        Zones {
            completed,
            invoked,
            rows,
            by_invocation,
        }
    }

    /// The versions of a key of which an invocation is known, by the latest.
    pub(crate) fn by_invocation(&self, key: u32) -> &[u32] {
        let from = self.rows[key as usize] as usize;
        &self.by_invocation[from..self.rows[key as usize + 1] as usize]
    }

    /// How many places there are in all keys' versions by invocation.
    pub(crate) fn places(&self) -> u32 {
        self.by_invocation.len() as u32
    }

    /// The number of a place in a key's versions by invocation, among the places of all keys.
    pub(crate) fn place(&self, key: u32, at: usize) -> u32 {
        self.rows[key as usize] + at as u32
    }

    /// How many versions of a key were last invoked at a moment or before.
    fn until(&self, key: u32, moment: u32) -> usize {
        let versions = self.by_invocation(key);
        versions.partition_point(|version| self.invoked[*version as usize] <= moment)
    }

    /// Whether one version comes before another of the same key.
    pub(crate) fn before(&self, version: u32, other: u32) -> bool {
        let invoked = self.invoked[other as usize];
        version != other && invoked != NONE && self.completed[version as usize] < invoked
    }

    /// Where in its key's versions by invocation those begin that follow a version, and those that follow
    /// its own place, too. Between the two there are few: zones between the completion of a version's
    /// first use and the invocation of its last do not overlap, unless the order is cyclic.
    pub(crate) fn followers(&self, key: u32, version: u32) -> Option<(usize, usize)> {
        let completed = self.completed[version as usize];
        if completed == NONE {
            return None;
        }
        let first = self.until(key, completed);
        let invoked = self.invoked[version as usize];
        let behind = if invoked != NONE && invoked > completed {
            self.until(key, invoked)
        } else {
            first
        };
        Some((first, behind))
    }
}
