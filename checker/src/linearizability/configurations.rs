//! Configurations that a search has seen; of comparable ones only the best are kept.

use std::mem::size_of;

use hashbrown::HashMap;

use super::bits::Bits;
use super::used::UsedSets;

/// What comparable configurations have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place<const W: usize> {
    pub(super) layer: u32,
    pub(super) state: u32,
    /// Pending operations that cannot be done any more, blind and pure ones left out.
    pub(super) fixed: Bits<W>,
}

/// What tells configurations of one place apart.
#[derive(Clone, Copy)]
pub(super) struct Kept<const W: usize> {
    /// Pending operations that are done or covered.
    pub(super) settled: Bits<W>,
    /// Pending operations that cannot be done any more, pure ones left out.
    spent: Bits<W>,
    /// Open operations used, in [`UsedSets`].
    pub(super) used: u32,
    next: u32,
}

const END: u32 = u32::MAX;
/// Fewer are not worth forgetting.
const MIN_TO_FORGET: usize = 1 << 16;

impl<const W: usize> Kept<W> {
    pub(super) fn new(settled: Bits<W>, spent: Bits<W>, used: u32) -> Self {
        Kept {
            settled,
            spent,
            used,
            next: END,
        }
    }
}

/// Configurations by place, as linked lists.
pub(super) struct Configurations<const W: usize> {
    heads: HashMap<Place<W>, u32>,
    kept: Vec<Kept<W>>,
    forget_above: usize,
}

impl<const W: usize> Default for Configurations<W> {
    fn default() -> Self {
        Configurations {
            heads: HashMap::new(),
            kept: Vec::new(),
            forget_above: MIN_TO_FORGET,
        }
    }
}

impl<const W: usize> Configurations<W> {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Memory of the tables.
    pub(super) fn bytes(&self) -> usize {
        self.heads.capacity() * (size_of::<(Place<W>, u32)>() + 1)
            + self.kept.capacity() * size_of::<Kept<W>>()
    }

    /// Remembers a configuration, unless one at least as good is known; forgets worse ones.
    pub(super) fn keep(&mut self, place: Place<W>, new: Kept<W>, sets: &mut UsedSets) -> bool {
        let head = self.heads.entry(place).or_insert(END);
        let (mut before, mut at) = (END, *head);
        while at != END {
            let other = self.kept[at as usize];
            if other.settled.contains(&new.settled)
                && new.spent.contains(&other.spent)
                && sets.leaves_at_least(other.used, new.used)
            {
                return false;
            }
            let worse = new.settled.contains(&other.settled)
                && other.spent.contains(&new.spent)
                && sets.leaves_at_least(new.used, other.used);
            if !worse {
                before = at;
            } else if before == END {
                *head = other.next;
            } else {
                self.kept[before as usize].next = other.next;
            }
            at = other.next;
        }
        let next = std::mem::replace(head, self.kept.len() as u32);
        self.kept.push(Kept { next, ..new });
        true
    }

    /// Forgets configurations before a layer that all others have passed, if there are enough of them
    /// to make it worth while.
    pub(super) fn forget_before(&mut self, layer: u32) {
        if self.kept.len() <= self.forget_above {
            return;
        }
        let mut kept = Vec::new();
        let old = std::mem::take(&mut self.kept);
        self.heads.retain(|place, head| {
            if place.layer < layer {
                return false;
            }
            let mut at = std::mem::replace(head, END);
            let first = kept.len() as u32;
            while at != END {
                let next = old[at as usize].next;
                let link = match next {
                    END => END,
                    _ => kept.len() as u32 + 1,
                };
                kept.push(Kept {
                    next: link,
                    ..old[at as usize]
                });
                at = next;
            }
            *head = first;
            true
        });
        self.heads.shrink_to_fit();
        self.forget_above = (2 * kept.len()).max(MIN_TO_FORGET);
        self.kept = kept;
    }

    /// The configurations of a layer with their states, always in the same order.
    pub(super) fn of_layer(&self, layer: u32) -> impl Iterator<Item = (u32, &Kept<W>)> {
        let of_layer = self.heads.iter().filter(|(place, _)| place.layer == layer);
        let mut places: Vec<_> = of_layer.collect();
        places.sort_unstable_by_key(|&(place, _)| (place.state, place.fixed));
        places.into_iter().flat_map(|(place, &head)| {
            let first = self.kept.get(head as usize);
            let list = std::iter::successors(first, |kept| self.kept.get(kept.next as usize));
            list.map(|kept| (place.state, kept))
        })
    }
}
