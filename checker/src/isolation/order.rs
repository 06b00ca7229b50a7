//! The order of transactions beyond what they read and wrote: within processes, and in real time.
//!
//! Real time is an interval order: `n` transactions may have `n * n` pairs. A chain of junctions says
//! the same with at most `3 n` edges: a transaction leads to the junction after its completion, a
//! junction to the next one and to the transactions invoked after it.

use hashbrown::HashMap;

use super::graph::{Edge, GraphBuilder};
use super::transactions::{NONE, Outcome, Transactions, Txn};

/// Adds the order of real time. `present` says which transactions are in the graph.
pub(crate) fn realtime(history: &Transactions, present: &[bool], graph: &mut GraphBuilder) {
    let positions = history
        .txns()
        .iter()
        .flat_map(|txn| [txn.invoked, txn.completed]);
    let last = positions.filter(|at| *at != NONE).max();
    let mut events = vec![NONE; last.map_or(0, |last| last as usize + 1)];
    for (at, txn) in history.txns().iter().enumerate() {
        if !present[at] {
            continue;
        }
        if txn.invoked != NONE {
            events[txn.invoked as usize] = (at as u32) << 1;
        }
        if txn.completed != NONE {
            events[txn.completed as usize] = (at as u32) << 1 | 1;
        }
    }
    let mut junction = None;
    let mut completed: Vec<u32> = Vec::new();
    for event in events {
        if event == NONE {
            continue;
        }
        let txn = event >> 1;
        if event & 1 == 1 {
            completed.push(txn);
            continue;
        }
        if !completed.is_empty() {
            let next = graph.junction();
            if let Some(before) = junction {
                graph.edge(before, next, Edge::On);
            }
            for txn in completed.drain(..) {
                graph.edge(txn, next, Edge::Order);
            }
            junction = Some(next);
        }
        if let Some(junction) = junction {
            graph.edge(junction, txn, Edge::On);
        }
    }
}

/// Adds the order of transactions within each process: by invocation, or by completion where the
/// invocation is not known. Transactions that may still be under way precede nothing.
pub(crate) fn process(history: &Transactions, present: &[bool], graph: &mut GraphBuilder) {
    let mut last: HashMap<i64, (u32, Option<u32>)> = HashMap::new();
    for txn in by_process_order(history) {
        let described = history.txn(txn);
        let unplaced = described.invoked == NONE && described.completed == NONE;
        if !present[txn as usize] || unplaced || described.outcome == Outcome::Aborted {
            continue;
        }
        let mut junction = None;
        if let Some((before, earlier)) = last.get(&described.process) {
            let next = graph.junction();
            graph.edge(*before, next, Edge::Order);
            if let Some(earlier) = earlier {
                graph.edge(*earlier, next, Edge::On);
            }
            graph.edge(next, txn, Edge::On);
            junction = Some(next);
        }
        if described.outcome == Outcome::Committed {
            last.insert(described.process, (txn, junction));
        }
    }
}

/// The transactions in an order in which each process ran its own: as they are numbered if that will do,
/// else by when they began.
pub(crate) fn by_process_order(history: &Transactions) -> Vec<u32> {
    let begin = |txn: &Txn| match txn.invoked {
        NONE => txn.completed,
        invoked => invoked,
    };
    let mut last: HashMap<i64, u32> = HashMap::new();
    let numbered = history.txns().iter().all(|txn| {
        let before = last.insert(txn.process, begin(txn));
        before.is_none_or(|before| before <= begin(txn))
    });
    let mut order: Vec<u32> = (0..history.txns().len() as u32).collect();
    if !numbered {
        order.sort_unstable_by_key(|txn| (begin(history.txn(*txn)), *txn));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::transactions::Builder;
    use super::*;

    /// Whether the graph leads from one transaction to another through junctions alone.
    fn leads(graph: &super::super::graph::Graph, from: u32, to: u32) -> bool {
        let mut open: Vec<u32> = graph.out(from).map(|(node, _)| node).collect();
        while let Some(node) = open.pop() {
            if node == to {
                return true;
            }
            if !graph.is_txn(node) {
                open.extend(graph.out(node).map(|(node, _)| node));
            }
        }
        false
    }

    fn history(spans: &[(i64, Outcome, u32, u32)]) -> Transactions {
        let mut builder = Builder::default();
        for (label, (process, outcome, invoked, completed)) in spans.iter().enumerate() {
            builder.begin(label as i64, *process, *outcome, *invoked, *completed);
        }
        builder.finish()
    }

    #[test]
    fn real_time_orders_exactly_what_did_not_overlap() {
        use Outcome::{Committed, Open};
        let spans = [
            (0, Committed, 0, 3),
            (1, Committed, 1, 2),
            (2, Committed, 4, 7),
            (1, Committed, 5, 6),
            (3, Open, 8, 9),
            (4, Committed, NONE, 10),
            (2, Committed, 11, 12),
        ];
        let history = history(&spans);
        let mut builder = GraphBuilder::new(spans.len() as u32);
        realtime(&history, &[true; 7], &mut builder);
        let graph = builder.finish();
        for (from, a) in spans.iter().enumerate() {
            for (to, b) in spans.iter().enumerate() {
                let before = a.1 == Committed && b.2 != NONE && a.3 < b.2;
                assert_eq!(leads(&graph, from as u32, to as u32), before, "{from} {to}");
            }
        }
        assert!(graph.edges() <= 3 * spans.len());
    }

    #[test]
    fn processes_order_what_they_ran_and_no_more() {
        use Outcome::{Committed, Open};
        let spans = [
            (0, Committed, 0, 1),
            (1, Committed, 2, 3),
            (0, Committed, 4, 5),
            (0, Open, 6, 7),
            (0, Committed, 8, 9),
        ];
        let history = history(&spans);
        let mut builder = GraphBuilder::new(5);
        process(&history, &[true; 5], &mut builder);
        let graph = builder.finish();
        let pairs = (0..5).flat_map(|from| (0..5).map(move |to| (from, to)));
        let found: Vec<_> = pairs
            .filter(|(from, to)| leads(&graph, *from, *to))
            .collect();
        assert_eq!(found, [(0, 2), (0, 3), (0, 4), (2, 3), (2, 4)]);
    }
}
