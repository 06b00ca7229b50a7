//! A transaction's operations, key by key.

use super::transactions::Transactions;

/// Sorts operations of one transaction by key; room for that is kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct ByKey {
    order: Vec<u32>,
}

impl ByKey {
    /// Calls `each` with the numbers (among all) of a transaction's operations on one key, in their
    /// order, for each of its keys.
    pub(crate) fn each(&mut self, history: &Transactions, txn: u32, mut each: impl FnMut(&[u32])) {
        let range = history.range(txn);
        let ops = history.all_ops();
        self.order.clear();
        self.order.extend(range.start as u32..range.end as u32);
        if self.order.len() > 1 {
            self.order.sort_by_key(|at| ops[*at as usize].key);
        }
        let same = |a: &u32, b: &u32| ops[*a as usize].key == ops[*b as usize].key;
        for group in self.order.chunk_by(same) {
            each(group);
        }
    }
}
