//! Cycles through an edge of some kind, in a graph with some of its edges.

use super::super::components::Components;
use super::super::cycle::{Cycle, Step};
use super::super::graph::{Edge, Edges, Graph};
use super::missed::{only_missed, regrade};
use super::shortest::Shortest;

/// What to look for.
pub(super) struct Search {
    allowed: Edges,
    through: Edge,
}

impl Search {
    /// Cycles of permitted edges, one of which is of the kind `through`.
    pub(super) fn new(allowed: Edges, through: Edge) -> Self {
        Search { allowed, through }
    }
}

/// A cycle as searched for: a shortest, unless finding one would take too long.
pub(super) fn closed(graph: &Graph, search: &Search) -> Option<Cycle> {
    let components = Components::new(graph, search.allowed);
    let of = &components.of;
    let edges = (0..graph.txns()).flat_map(|txn| {
        let out = graph.out(txn);
        let through = out.filter(move |(to, edge)| {
            *edge == search.through
                && of[txn as usize] == of[*to as usize]
                && (*edge != Edge::Rw || only_missed(graph, txn, *to))
        });
        through.map(move |(to, edge)| (txn, to, edge))
    });
    best(graph, search.allowed, edges, |steps| {
        regrade(graph, steps);
        true
    })
}

/// The shortest of the cycles that begin with these edges, and are accepted; or the shortest found
/// until the search has looked at many times more edges than there are.
pub(super) fn best(
    graph: &Graph,
    allowed: Edges,
    edges: impl Iterator<Item = (u32, u32, Edge)>,
    mut accept: impl FnMut(&mut [Step]) -> bool,
) -> Option<Cycle> {
    const TIMES: u64 = 16;
    const AT_LEAST: u64 = 1 << 16;
    let enough = TIMES * (graph.edges() as u64).max(AT_LEAST);
    let mut shortest = Shortest::new(graph, allowed);
    let mut best: Option<Vec<Step>> = None;
    let mut all = true;
    for (txn, to, edge) in edges {
        let below = best.as_ref().map_or(usize::MAX, Vec::len);
        if below <= 2 {
            break;
        }
        if shortest.looked_at > enough && best.is_some() {
            all = false;
            break;
        }
        if let Some(mut steps) = shortest.cycle(txn, to, edge, below)
            && accept(&mut steps)
        {
            best = Some(steps);
        }
    }
    best.map(|steps| Cycle::new(steps, all))
}
