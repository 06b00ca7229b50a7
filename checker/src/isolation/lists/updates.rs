//! Lost updates: several transactions read the same version of a list and then appended to it.
//!
//! Whatever the order of their appends, one of them did not see the other's, and appended
//! nevertheless. That needs no order of versions, so it is found where appends were never read, too.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::super::anomaly::Anomaly;
use super::super::cases::Cases;
use super::super::dictionary::Dictionary;
use super::super::transactions::{ListRead, NONE};
use super::orders::Lists;

/// Who read which version and then appended.
#[derive(Debug, Default)]
pub(super) struct Updates<'a> {
    /// Per slot, the first.
    first: Vec<u32>,
    /// Versions that do not begin their key's longest list, and who updated them.
    branches: HashMap<(u32, &'a [i64]), Vec<u32>>,
    /// Slots that several updated.
    several: HashMap<u32, (u32, ListRead, Vec<u32>)>,
}

impl<'a> Updates<'a> {
    /// A committed transaction read this version first, and appended later.
    pub(super) fn add(&mut self, lists: &Lists<'a>, key: u32, read: ListRead, txn: u32) {
        if read.branch != NONE {
            let version = (key, lists.history.elements(key, read));
            self.branches.entry(version).or_default().push(txn);
            return;
        }
        self.first.resize(lists.writer.len(), NONE);
        let slot = lists.slot(key, read.len);
        let first = &mut self.first[slot as usize];
        if *first == NONE {
            *first = txn;
            return;
        }
        match self.several.entry(slot) {
            Entry::Occupied(mut known) => known.get_mut().2.push(txn),
            Entry::Vacant(new) => {
                new.insert((key, read, vec![*first, txn]));
            }
        }
    }

    /// Tells them.
    pub(super) fn find(self, lists: &Lists<'a>, names: &Dictionary, cases: &mut Cases) {
        let several = self.several.into_values();
        let mut found: Vec<(Vec<u32>, u32, &[i64])> = several
            .map(|(key, read, txns)| (txns, key, lists.history.elements(key, read)))
            .collect();
        let branches = self.branches.into_iter().filter(|(_, txns)| txns.len() > 1);
        found.extend(branches.map(|((key, elements), txns)| (txns, key, elements)));
        found.sort_unstable();
        for (txns, key, elements) in found {
            cases.add(Anomaly::LostUpdate, || {
                let labels = txns
                    .iter()
                    .map(|txn| format!("T{}", lists.history.txn(*txn).label));
                let text = format!(
                    "{} each read {} = {} and appended to it",
                    labels.collect::<Vec<_>>().join(", "),
                    names.show_key(key),
                    names.show_list(elements)
                );
                (txns, text)
            });
        }
    }
}
