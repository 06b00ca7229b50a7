//! Which operations that never returned a configuration has used up, and which of two such sets leaves
//! more open.

use std::mem::size_of;

use hashbrown::HashMap;

/// Multisets of kinds of open operations, as numbers; 0 is the empty one.
pub(super) struct UsedSets {
    sets: Vec<Box<[u32]>>,
    ids: HashMap<Box<[u32]>, u32>,
    with: HashMap<(u32, u32), u32>,
    at_least: HashMap<(u32, u32), bool>,
    /// For each kind, the other kinds that can stand for it.
    stronger: Vec<Box<[u32]>>,
    bytes: usize,
}

impl UsedSets {
    pub(super) fn new(stronger: Vec<Box<[u32]>>) -> Self {
        let empty: Box<[u32]> = Box::default();
        UsedSets {
            sets: vec![empty.clone()],
            ids: HashMap::from_iter([(empty, 0)]),
            with: HashMap::new(),
            at_least: HashMap::new(),
            stronger,
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The kinds in a set, sorted, each as often as it was used.
    pub(super) fn get(&self, set: u32) -> &[u32] {
        &self.sets[set as usize]
    }

    /// The set with one more operation of a kind.
    pub(super) fn with(&mut self, set: u32, kind: u32) -> u32 {
        if let Some(&found) = self.with.get(&(set, kind)) {
            return found;
        }
        let mut grown = self.sets[set as usize].to_vec();
        grown.insert(grown.partition_point(|&other| other < kind), kind);
        let grown = grown.into_boxed_slice();
        let id = match self.ids.get(&grown) {
            Some(&id) => id,
            None => {
                let id = self.sets.len() as u32;
                self.bytes += 2 * (grown.len() * size_of::<u32>() + 2 * size_of::<Box<[u32]>>());
                self.sets.push(grown.clone());
                self.ids.insert(grown, id);
                id
            }
        };
        self.bytes += 3 * size_of::<u64>();
        self.with.insert((set, kind), id);
        id
    }

    /// Whether what `a` leaves can stand for what `b` leaves: each operation that `a` has used beyond
    /// `b` is made up for by one that `b` has used beyond `a`, of the same kind or a stronger one.
    pub(super) fn leaves_at_least(&mut self, a: u32, b: u32) -> bool {
        if a == b || a == 0 {
            return true;
        }
        let (only_a, only_b) = (self.sets[a as usize].len(), self.sets[b as usize].len());
        if only_a > only_b {
            return false;
        }
        if let Some(&known) = self.at_least.get(&(a, b)) {
            return known;
        }
        let found = self.compare(a, b);
        self.bytes += 3 * size_of::<u64>();
        self.at_least.insert((a, b), found);
        found
    }

    fn compare(&self, a: u32, b: u32) -> bool {
        let (only_a, only_b) = differences(&self.sets[a as usize], &self.sets[b as usize]);
        if only_a.is_empty() {
            return true;
        }
        if only_a.len() > only_b.len() {
            return false;
        }
        // Maximum matching by augmenting paths; both sides are small.
        let mut owner: Vec<Option<usize>> = vec![None; only_b.len()];
        (0..only_a.len()).all(|item| {
            let mut tried = vec![false; only_b.len()];
            self.place(item, &only_a, &only_b, &mut owner, &mut tried)
        })
    }

    fn place(
        &self,
        item: usize,
        only_a: &[u32],
        only_b: &[u32],
        owner: &mut [Option<usize>],
        tried: &mut [bool],
    ) -> bool {
        for spot in 0..only_b.len() {
            let fits = self.stronger[only_a[item] as usize].contains(&only_b[spot]);
            if !fits || tried[spot] {
                continue;
            }
            tried[spot] = true;
            let free = match owner[spot] {
                None => true,
                Some(other) => self.place(other, only_a, only_b, owner, tried),
            };
            if free {
                owner[spot] = Some(item);
                return true;
            }
        }
        false
    }
}

/// What sorted `a` has beyond sorted `b`, and the other way round.
fn differences(a: &[u32], b: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => {
                i += 1;
                j += 1;
            }
            (Some(x), y) if y.is_none_or(|y| x < y) => {
                only_a.push(*x);
                i += 1;
            }
            (_, y) => {
                only_b.extend(y);
                j += 1;
            }
        }
    }
    (only_a, only_b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_used_operations_leave_more() {
        let mut sets = UsedSets::new(vec![Box::default(); 3]);
        let one = sets.with(0, 1);
        let both = sets.with(one, 2);
        assert!(sets.leaves_at_least(one, both));
        assert!(!sets.leaves_at_least(both, one));
        let other = sets.with(0, 2);
        assert!(!sets.leaves_at_least(one, other));
        assert_eq!(sets.with(other, 1), both);
    }

    #[test]
    fn a_stronger_operation_makes_up_for_a_weaker_one() {
        // Kind 0 can stand for kind 1.
        let mut sets = UsedSets::new(vec![Box::default(), Box::new([0])]);
        let strong = sets.with(0, 0);
        let weak = sets.with(0, 1);
        assert!(sets.leaves_at_least(weak, strong));
        assert!(!sets.leaves_at_least(strong, weak));
        let two_weak = sets.with(weak, 1);
        assert!(!sets.leaves_at_least(two_weak, strong));
    }
}
