//! Shortest ways back to where an edge came from.

use super::super::cycle::Step;
use super::super::graph::{Edge, Edges, Graph};

/// Breadth-first search, again and again in the same graph. Junctions count nothing.
#[derive(Debug)]
pub(super) struct Shortest<'a> {
    graph: &'a Graph,
    allowed: Edges,
    seen: Vec<u32>,
    search: u32,
    /// From which node a node was reached, and why.
    parent: Vec<(u32, Edge)>,
    layer: Vec<u32>,
    next: Vec<u32>,
    /// Edges looked at so far.
    pub(super) looked_at: u64,
}

impl<'a> Shortest<'a> {
    pub(super) fn new(graph: &'a Graph, allowed: Edges) -> Self {
        let nodes = graph.nodes() as usize;
        Shortest {
            graph,
            allowed,
            seen: vec![0; nodes],
            search: 0,
            parent: vec![(0, Edge::On); nodes],
            layer: Vec::new(),
            next: Vec::new(),
            looked_at: 0,
        }
    }

    /// The shortest cycle that begins with the edge from `txn` to `to`, if it has at least two and less
    /// than `below` transactions. Ways back take permitted edges only.
    pub(super) fn cycle(
        &mut self,
        txn: u32,
        to: u32,
        edge: Edge,
        below: usize,
    ) -> Option<Vec<Step>> {
        self.search += 1;
        self.layer.clear();
        self.next.clear();
        self.parent[to as usize] = (txn, edge);
        self.seen[to as usize] = self.search;
        // How many transactions the way so far has.
        let mut length = 1;
        if self.graph.is_txn(to) {
            self.next.push(to);
        } else {
            self.layer.push(to);
        }
        loop {
            let mut at = 0;
            while let Some(node) = self.layer.get(at).copied() {
                at += 1;
                if self.expand(node, txn, length) {
                    return (length < below).then(|| self.steps(txn));
                }
            }
            if self.next.is_empty() || length + 1 >= below {
                return None;
            }
            self.layer.clear();
            std::mem::swap(&mut self.layer, &mut self.next);
            length += 1;
        }
    }

    /// Whether the goal is one step further. That a way through junctions alone leads a transaction
    /// back to itself says nothing.
    fn expand(&mut self, node: u32, goal: u32, length: usize) -> bool {
        let row = self.graph.row(node);
        self.looked_at += row.len() as u64;
        for at in row {
            let (to, edge) = self.graph.edge(at);
            if !self.allowed.has(edge) {
                continue;
            }
            if to == goal {
                if length > 1 {
                    self.parent[to as usize] = (node, edge);
                    return true;
                }
                continue;
            }
            let seen = &mut self.seen[to as usize];
            if *seen == self.search {
                continue;
            }
            *seen = self.search;
            self.parent[to as usize] = (node, edge);
            if self.graph.is_txn(to) {
                self.next.push(to);
            } else {
                self.layer.push(to);
            }
        }
        false
    }

    fn steps(&self, goal: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut node = goal;
        loop {
            // Back through junctions to the transaction before; the edge that leaves it says why.
            let (mut before, mut edge) = self.parent[node as usize];
            while !self.graph.is_txn(before) {
                (before, edge) = self.parent[before as usize];
            }
            steps.push(Step { txn: before, edge });
            node = before;
            if node == goal {
                break;
            }
        }
        steps.reverse();
        steps
    }
}
