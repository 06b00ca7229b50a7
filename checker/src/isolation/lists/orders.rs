//! The order of each list's elements, after the longest read of it.
//!
//! Slot `s` of a key is its state after `s` elements; slots of all keys are numbered together. An
//! element that occurs twice counts where it occurs first.

use super::super::transactions::{Action, ListRead, NONE, Outcome, Transactions};
use super::super::writers::{Writers, WrittenTwice, txn_of_ops};

/// A history of lists, and what its reads say about the order of appends.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    /// The history.
    pub(crate) history: &'a Transactions,
    /// Who wrote each element.
    pub(crate) writers: Writers,
    /// The transaction of each operation.
    pub(crate) txn_of: Vec<u32>,
    /// Per key, its first slot; and the number of all slots.
    pub(crate) rows: Vec<u32>,
    /// Per slot, the operation that appended its last element, or [`NONE`].
    pub(crate) writer: Vec<u32>,
    /// Per slot, the one where its last element first occurs.
    pub(crate) same: Vec<u32>,
    /// Per append, the slot that it led to, or [`NONE`] if it was not seen in the order.
    pub(crate) appended: Vec<u32>,
    /// Per transaction, whether it is part of the graph: it committed, or was seen.
    pub(crate) present: Vec<bool>,
}

impl<'a> Lists<'a> {
    /// Finds the orders. Linear time.
    pub(crate) fn new(history: &'a Transactions) -> Result<Self, WrittenTwice> {
        let txn_of = txn_of_ops(history);
        let writers = Writers::new(history, &txn_of)?;
        let mut rows = vec![0u32];
        for key in 0..history.keys() {
            let slots = history.longest(key).len() as u32 + 1;
            rows.push(rows[key as usize] + slots);
        }
        let slots = rows[history.keys() as usize];
        let committed = history
            .txns()
            .iter()
            .map(|txn| txn.outcome == Outcome::Committed);
        let mut lists = Lists {
            history,
            writers,
            txn_of,
            rows,
            writer: vec![NONE; slots as usize],
            same: (0..slots).collect(),
            appended: vec![NONE; history.all_ops().len()],
            present: committed.collect(),
        };
        for key in 0..history.keys() {
            for (at, element) in history.longest(key).iter().enumerate() {
                let slot = lists.rows[key as usize] + at as u32 + 1;
                let writer = lists.writers.of(key, *element);
                lists.writer[slot as usize] = writer;
                if writer == NONE {
                    continue;
                }
                let appended = &mut lists.appended[writer as usize];
                if *appended == NONE {
                    *appended = slot;
                    lists.see(writer);
                } else {
                    lists.same[slot as usize] = *appended;
                }
            }
        }
        for op in history.all_ops() {
            if let Action::ReadList(read) = op.action
                && read.branch != NONE
            {
                for element in history.elements(op.key, read) {
                    lists.see(lists.writers.of(op.key, *element));
                }
            }
        }
        Ok(lists)
    }

    fn see(&mut self, writer: u32) {
        if writer != NONE {
            let txn = self.txn_of[writer as usize];
            if self.history.txn(txn).outcome == Outcome::Open {
                self.present[txn as usize] = true;
            }
        }
    }

    /// The slots of a key, beginning with that of the empty list.
    pub(crate) fn slots(&self, key: u32) -> std::ops::Range<u32> {
        self.rows[key as usize]..self.rows[key as usize + 1]
    }

    /// The slot of a key after so many elements.
    pub(crate) fn slot(&self, key: u32, len: u32) -> u32 {
        self.rows[key as usize] + len
    }

    /// The operation that appended the last element of a list, or [`NONE`]; and the slot read, or
    /// [`NONE`] if the last element is not in the key's order.
    pub(crate) fn read(&self, key: u32, read: ListRead) -> (u32, u32) {
        if read.branch == NONE {
            let slot = self.slot(key, read.len) as usize;
            return (self.writer[slot], self.same[slot]);
        }
        let elements = self.history.elements(key, read);
        let Some(last) = elements.last() else {
            return (NONE, self.slot(key, 0));
        };
        match self.writers.of(key, *last) {
            NONE => (NONE, NONE),
            writer => (writer, self.appended[writer as usize]),
        }
    }

    /// The element that an operation appended.
    pub(crate) fn element(&self, op: u32) -> i64 {
        match self.history.all_ops()[op as usize].action {
            Action::Write(element) => element,
            other => unreachable!("{other:?} is no append"),
        }
    }

    /// The transaction of an operation, if it is part of the graph.
    pub(crate) fn present_txn(&self, op: u32) -> Option<u32> {
        if op == NONE {
            return None;
        }
        let txn = self.txn_of[op as usize];
        self.present[txn as usize].then_some(txn)
    }

    /// The outcome of the transaction of an operation.
    pub(crate) fn outcome(&self, op: u32) -> Outcome {
        self.history.txn(self.txn_of[op as usize]).outcome
    }
}
