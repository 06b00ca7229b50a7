//! Whether a transaction that missed another's write precedes it for no other reason.

use super::super::cycle::Step;
use super::super::graph::{Edge, Graph};

/// The gravest reason by data for which one transaction directly precedes another.
fn gravest(graph: &Graph, from: u32, to: u32, known: Edge) -> Edge {
    let direct = graph.out(from).filter(|(node, _)| *node == to);
    let reasons = direct.map(|(_, edge)| edge);
    reasons
        .filter(|edge| *edge < Edge::Order)
        .min()
        .map_or(known, |edge| edge.min(known))
}

/// Whether a miss is the gravest reason why one precedes another.
pub(super) fn only_missed(graph: &Graph, from: u32, to: u32) -> bool {
    gravest(graph, from, to, Edge::Rw) == Edge::Rw
}

/// Gives each step by data the gravest reason there is.
pub(super) fn regrade(graph: &Graph, steps: &mut [Step]) {
    for at in 0..steps.len() {
        let to = steps[(at + 1) % steps.len()].txn;
        if steps[at].edge < Edge::Order {
            steps[at].edge = gravest(graph, steps[at].txn, to, steps[at].edge);
        }
    }
}
