//! Dependencies between transactions over lists.
//!
//! An append that nobody saw comes after all that were seen: had it come before, the longest read
//! would show it.

use super::super::graph::{Edge, GraphBuilder};
use super::super::transactions::{Action, NONE, Outcome};
use super::orders::Lists;

/// Adds all dependencies by data. Linear time.
pub(crate) fn add_edges(lists: &Lists<'_>, graph: &mut GraphBuilder) {
    let readers = Readers::new(lists, graph);
    let mut unseen = unseen_appends(lists);
    for key in 0..lists.history.keys() {
        let mut before = lists.slot(key, 0);
        for slot in lists.slots(key).skip(1) {
            if lists.same[slot as usize] != slot {
                continue;
            }
            let writer = lists.present_txn(lists.writer[slot as usize]);
            if let Some(writer) = writer {
                if let Some(former) = lists.present_txn(lists.writer[before as usize]) {
                    graph.edge(former, writer, Edge::Ww);
                }
                for reader in readers.of(before) {
                    graph.edge(*reader, writer, Edge::Rw);
                }
            }
            before = slot;
        }
        let after = &mut unseen[key as usize];
        if after.is_empty() {
            continue;
        }
        after.dedup();
        if let Some(former) = lists.present_txn(lists.writer[before as usize]) {
            for writer in after.iter() {
                graph.edge(former, *writer, Edge::Ww);
            }
        }
        graph.all_to_all(readers.of(before), after, Edge::Rw);
    }
}

/// Per key, the committed transactions whose appends nobody saw, in ascending order.
fn unseen_appends(lists: &Lists<'_>) -> Vec<Vec<u32>> {
    let mut unseen: Vec<Vec<u32>> = vec![Vec::new(); lists.history.keys() as usize];
    for (at, op) in lists.history.all_ops().iter().enumerate() {
        if let Action::Write(_) = op.action
            && lists.appended[at] == NONE
            && lists.outcome(at as u32) == Outcome::Committed
        {
            unseen[op.key as usize].push(lists.txn_of[at]);
        }
    }
    unseen
}

/// Who read each slot.
struct Readers {
    rows: Vec<u32>,
    txns: Vec<u32>,
}

impl Readers {
    /// Finds readers, and adds the dependencies of reads on what they read.
    fn new(lists: &Lists<'_>, graph: &mut GraphBuilder) -> Self {
        let slots = lists.writer.len();
        let mut rows = vec![0u32; slots + 1];
        let mut reads: Vec<(u32, u32)> = Vec::new();
        for (at, op) in lists.history.all_ops().iter().enumerate() {
            let Action::ReadList(read) = op.action else {
                continue;
            };
            let reader = lists.txn_of[at];
            let (writer, slot) = lists.read(op.key, read);
            if let Some(writer) = lists.present_txn(writer) {
                graph.edge(writer, reader, Edge::Wr);
            }
            if slot != NONE && reads.last() != Some(&(slot, reader)) {
                reads.push((slot, reader));
                rows[slot as usize + 1] += 1;
            }
        }
        for slot in 0..slots {
            rows[slot + 1] += rows[slot];
        }
        let mut next = rows.clone();
        let mut txns = vec![0; reads.len()];
        for (slot, reader) in reads {
            let place = &mut next[slot as usize];
            txns[*place as usize] = reader;
            *place += 1;
        }
        Readers { rows, txns }
    }

    fn of(&self, slot: u32) -> &[u32] {
        let from = self.rows[slot as usize] as usize;
        &self.txns[from..self.rows[slot as usize + 1] as usize]
    }
}
