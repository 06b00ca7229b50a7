//! The graph of transactions: who must come before whom, and why.
//!
//! Nodes are transactions and, after them, junctions. A junction stands for many edges at once: where
//! each of `r` transactions precedes each of `w` others, `r + w` edges to and from a junction say so,
//! not `r * w`. The edge into the first junction of a path says why; the others only continue it.

/// Why one transaction comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Edge {
    /// It wrote the version before.
    Ww = 0,
    /// It wrote what the other read.
    Wr = 1,
    /// It read the version before the one that the other wrote.
    Rw = 2,
    /// It came first in its process, or in real time.
    Order = 3,
    /// The rest of a path through junctions.
    On = 4,
}

const BITS: u32 = 3;

impl Edge {
    /// Its short name.
    pub fn name(self) -> &'static str {
        match self {
            Edge::Ww => "ww",
            Edge::Wr => "wr",
            Edge::Rw => "rw",
            Edge::Order => "order",
            Edge::On => "on",
        }
    }

    const ALL: [Edge; 5] = [Edge::Ww, Edge::Wr, Edge::Rw, Edge::Order, Edge::On];
}

/// A set of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edges(u8);

impl Edges {
    /// The set of some reasons. Continuations belong to every set.
    pub(crate) const fn of(edges: &[Edge]) -> Edges {
        let mut bits = 1 << Edge::On as u8;
        let mut at = 0;
        while at < edges.len() {
            bits |= 1 << edges[at] as u8;
            at += 1;
        }
        Edges(bits)
    }

    /// With one more.
    pub(crate) const fn and(self, edge: Edge) -> Edges {
        Edges(self.0 | 1 << edge as u8)
    }

    /// Whether a reason is in the set.
    pub(crate) fn has(self, edge: Edge) -> bool {
        self.0 & (1 << edge as u8) != 0
    }
}

/// What was written and read.
pub(crate) const DATA: Edges = Edges::of(&[Edge::Ww, Edge::Wr, Edge::Rw]);

/// A graph in compressed rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    rows: Vec<u32>,
    targets: Vec<u32>,
    txns: u32,
}

impl Graph {
    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> u32 {
        self.rows.len() as u32 - 1
    }

    /// How many edges there are.
    pub(crate) fn edges(&self) -> usize {
        self.targets.len()
    }

    /// Whether a node is a transaction, not a junction.
    pub(crate) fn is_txn(&self, node: u32) -> bool {
        node < self.txns
    }

    /// Where the edges of a node are.
    pub(crate) fn row(&self, node: u32) -> std::ops::Range<usize> {
        self.rows[node as usize] as usize..self.rows[node as usize + 1] as usize
    }

    /// Where an edge leads, and why.
    pub(crate) fn edge(&self, at: usize) -> (u32, Edge) {
        let packed = self.targets[at];
        let edge = Edge::ALL[(packed & ((1 << BITS) - 1)) as usize];
        (packed >> BITS, edge)
    }

    /// How many nodes are transactions; they come first.
    pub(crate) fn txns(&self) -> u32 {
        self.txns
    }

    /// The graph of some nodes, in ascending order, and the edges between them. `numbers` has
    /// [`u32::MAX`] for each node, before and after.
    pub(crate) fn part(&self, members: &[u32], numbers: &mut [u32]) -> Graph {
        for (number, node) in members.iter().enumerate() {
            numbers[*node as usize] = number as u32;
        }
        let mut part = Graph {
            rows: Vec::with_capacity(members.len() + 1),
            targets: Vec::new(),
            txns: members.partition_point(|node| self.is_txn(*node)) as u32,
        };
        part.rows.push(0);
        for node in members {
            for (to, edge) in self.out(*node) {
                let number = numbers[to as usize];
                if number != u32::MAX {
                    part.targets.push(number << BITS | edge as u32);
                }
            }
            part.rows.push(part.targets.len() as u32);
        }
        for node in members {
            numbers[*node as usize] = u32::MAX;
        }
        part
    }

    /// The edges of a node.
    pub(crate) fn out(&self, node: u32) -> impl Iterator<Item = (u32, Edge)> + '_ {
        self.row(node).map(|at| self.edge(at))
    }
}

/// Puts a graph together.
#[derive(Debug)]
pub(crate) struct GraphBuilder {
    txns: u32,
    nodes: u32,
    from: Vec<u32>,
    targets: Vec<u32>,
}

impl GraphBuilder {
    /// A graph of so many transactions, and no edges.
    pub(crate) fn new(txns: u32) -> Self {
        GraphBuilder {
            txns,
            nodes: txns,
            from: Vec::new(),
            targets: Vec::new(),
        }
    }

    /// A graph of so many transactions and junctions, and no edges.
    pub(crate) fn with_junctions(txns: u32, junctions: u32) -> Self {
        GraphBuilder {
            nodes: txns + junctions,
            ..GraphBuilder::new(txns)
        }
    }

    /// A new junction.
    pub(crate) fn junction(&mut self) -> u32 {
        self.nodes += 1;
        self.nodes - 1
    }

    /// So many new junctions. Returns the first.
    pub(crate) fn junctions(&mut self, count: u32) -> u32 {
        self.nodes += count;
        self.nodes - count
    }

    /// An edge. Edges from a transaction to itself say nothing and are left out.
    pub(crate) fn edge(&mut self, from: u32, to: u32, edge: Edge) {
        if from != to {
            self.from.push(from);
            self.targets.push(to << BITS | edge as u32);
        }
    }

    /// Each of `before` precedes each of `after`, itself excepted. `after` has no duplicates. Edges
    /// are at most proportional to both together.
    pub(crate) fn all_to_all(&mut self, before: &[u32], after: &[u32], edge: Edge) {
        if before.len() <= 2 || after.len() <= 2 {
            for from in before {
                for to in after {
                    self.edge(*from, *to, edge);
                }
            }
            return;
        }
        // Each of `after` has a junction that leads to it and all before it, and one that leads to it
        // and all behind it: so that one who is in both can leave itself out.
        let to_prefix: Vec<u32> = after.iter().map(|_| self.junction()).collect();
        let to_suffix: Vec<u32> = after.iter().map(|_| self.junction()).collect();
        for (at, to) in after.iter().enumerate() {
            self.edge(to_prefix[at], *to, Edge::On);
            self.edge(to_suffix[at], *to, Edge::On);
            if at > 0 {
                self.edge(to_prefix[at], to_prefix[at - 1], Edge::On);
                self.edge(to_suffix[at - 1], to_suffix[at], Edge::On);
            }
        }
        let place: hashbrown::HashMap<u32, usize> = after
            .iter()
            .enumerate()
            .map(|(at, txn)| (*txn, at))
            .collect();
        for from in before {
            match place.get(from) {
                None => self.edge(*from, to_suffix[0], edge),
                Some(at) => {
                    if *at > 0 {
                        self.edge(*from, to_prefix[at - 1], edge);
                    }
                    if at + 1 < after.len() {
                        self.edge(*from, to_suffix[at + 1], edge);
                    }
                }
            }
        }
    }

    /// The graph. Linear time.
    pub(crate) fn finish(self) -> Graph {
        let mut rows = vec![0u32; self.nodes as usize + 1];
        for from in &self.from {
            rows[*from as usize + 1] += 1;
        }
        for node in 0..self.nodes as usize {
            rows[node + 1] += rows[node];
        }
        let mut next = rows.clone();
        let mut targets = vec![0; self.targets.len()];
        for (from, target) in self.from.iter().zip(&self.targets) {
            let place = &mut next[*from as usize];
            targets[*place as usize] = *target;
            *place += 1;
        }
        Graph {
            rows,
            targets,
            txns: self.txns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The transactions that one precedes, directly or through junctions.
    fn successors(graph: &Graph, txn: u32) -> BTreeSet<u32> {
        let mut open: Vec<u32> = graph.out(txn).map(|(to, _)| to).collect();
        let mut found = BTreeSet::new();
        while let Some(node) = open.pop() {
            if graph.is_txn(node) {
                found.insert(node);
            } else {
                open.extend(graph.out(node).map(|(to, _)| to));
            }
        }
        found
    }

    #[test]
    fn junctions_lead_from_everyone_to_everyone_else() {
        let before = [0, 1, 2, 3, 4];
        let after = [3, 5, 0, 6, 4];
        let mut builder = GraphBuilder::new(7);
        builder.all_to_all(&before, &after, Edge::Rw);
        let graph = builder.finish();
        for txn in 0..7 {
            let mut expected: BTreeSet<u32> = after.into_iter().collect();
            expected.remove(&txn);
            if !before.contains(&txn) {
                expected.clear();
            }
            assert_eq!(successors(&graph, txn), expected, "of {txn}");
        }
        assert!(graph.edges() <= 6 * after.len() + 2 * before.len());
    }

    #[test]
    fn edges_keep_their_reason() {
        let mut builder = GraphBuilder::new(3);
        builder.edge(0, 1, Edge::Wr);
        builder.edge(0, 2, Edge::Order);
        builder.edge(1, 1, Edge::Ww);
        let graph = builder.finish();
        let out: Vec<_> = graph.out(0).collect();
        assert_eq!(out, [(1, Edge::Wr), (2, Edge::Order)]);
        assert_eq!(graph.edges(), 2);
    }
}
