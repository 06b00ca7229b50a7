//! Cycles with several misses, no two of them in a row.
//!
//! The product of the graph with the question whether the last step was a miss: a miss leads from "no"
//! to "yes", anything else to "no", and there is no miss from "yes". Its cycles are exactly the closed
//! ways without adjacent misses. A shortest one that passes a transaction twice consists of two closed
//! ways, of which one has no miss at all, because cycles with one miss were found before: it is then
//! left to the graver class that this part has anyway.

use super::super::anomaly::CycleKind;
use super::super::components::Components;
use super::super::cycle::{Cycle, Step};
use super::super::graph::{Edge, Edges, Graph, GraphBuilder};
use super::closed::best;
use super::missed::{only_missed, regrade};

/// A cycle with several misses, not adjacent, and otherwise permitted edges.
pub(super) fn search(graph: &Graph, allowed: Edges) -> Option<Cycle> {
    let product = product(graph, allowed);
    let everything = allowed.and(Edge::Rw);
    let components = Components::new(&product, everything);
    let of = &components.of;
    let txns = graph.txns();
    let edges = (0..txns).flat_map(|txn| {
        let out = product.out(txn);
        let closing =
            out.filter(move |(to, edge)| *edge == Edge::Rw && of[txn as usize] == of[*to as usize]);
        closing.map(move |(to, edge)| (txn, to, edge))
    });
    best(&product, everything, edges, |steps| {
        for step in steps.iter_mut() {
            step.txn %= txns;
        }
        regrade(graph, steps);
        is_simple(steps) && Cycle::new(steps.to_vec(), true).kind() == CycleKind::GNonadjacent
    })
}

fn is_simple(steps: &[Step]) -> bool {
    let mut txns: Vec<u32> = steps.iter().map(|step| step.txn).collect();
    txns.sort_unstable();
    txns.windows(2).all(|pair| pair[0] != pair[1])
}

/// Nodes are, in this order: transactions after anything but a miss, transactions after a miss,
/// junctions of the first sort, junctions of the second.
fn product(graph: &Graph, allowed: Edges) -> Graph {
    let txns = graph.txns();
    let junctions = graph.nodes() - txns;
    let place = |node: u32, missed: bool| match graph.is_txn(node) {
        true => node + u32::from(missed) * txns,
        false => 2 * txns + (node - txns) + u32::from(missed) * junctions,
    };
    let mut builder = GraphBuilder::with_junctions(2 * txns, 2 * junctions);
    for node in 0..graph.nodes() {
        for (to, edge) in graph.out(node) {
            match edge {
                Edge::Rw if only_missed(graph, node, to) => {
                    builder.edge(place(node, false), place(to, true), edge);
                }
                Edge::Rw => {}
                Edge::On => {
                    builder.edge(place(node, false), place(to, false), edge);
                    builder.edge(place(node, true), place(to, true), edge);
                }
                other if allowed.has(other) => {
                    builder.edge(place(node, false), place(to, false), edge);
                    builder.edge(place(node, true), place(to, false), edge);
                }
                _ => {}
            }
        }
    }
    builder.finish()
}
