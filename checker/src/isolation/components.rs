//! Strongly connected components of a graph (R. Tarjan, "Depth-first search and linear graph
//! algorithms", SIAM J. Comput. 1972), without recursion. Linear time and memory.

use super::graph::{Edges, Graph};

const UNSEEN: u32 = u32::MAX;

/// The component of each node. Components are numbered so that edges lead to the same or a lower
/// number.
#[derive(Debug)]
pub(crate) struct Components {
    /// Per node.
    pub(crate) of: Vec<u32>,
    /// How many there are.
    pub(crate) count: u32,
}

impl Components {
    /// The components of a graph with only some of its edges.
    pub(crate) fn new(graph: &Graph, allowed: Edges) -> Self {
        let nodes = graph.nodes() as usize;
        // A node's number in order of discovery; once its component is known, that component.
        let mut of = vec![UNSEEN; nodes];
        let mut low = vec![UNSEEN; nodes];
        let mut done = vec![false; nodes];
        let mut open: Vec<u32> = Vec::new();
        let mut path: Vec<(u32, u32)> = Vec::new();
        let mut discovered = 0;
        let mut count = 0;
        for root in 0..nodes as u32 {
            if of[root as usize] != UNSEEN {
                continue;
            }
            path.push((root, graph.row(root).start as u32));
            of[root as usize] = discovered;
            low[root as usize] = discovered;
            discovered += 1;
            open.push(root);
            while let Some((node, at)) = path.last_mut() {
                let node = *node as usize;
                let end = graph.row(node as u32).end as u32;
                let mut deeper = None;
                while *at < end {
                    let (to, edge) = graph.edge(*at as usize);
                    *at += 1;
                    let to_at = to as usize;
                    if !allowed.has(edge) || done[to_at] {
                        continue;
                    }
                    if of[to_at] == UNSEEN {
                        deeper = Some(to);
                        break;
                    }
                    low[node] = low[node].min(of[to_at]);
                }
                if let Some(to) = deeper {
                    of[to as usize] = discovered;
                    low[to as usize] = discovered;
                    discovered += 1;
                    open.push(to);
                    path.push((to, graph.row(to).start as u32));
                    continue;
                }
                path.pop();
                if low[node] == of[node] {
                    while let Some(member) = open.pop() {
                        of[member as usize] = count;
                        done[member as usize] = true;
                        if member as usize == node {
                            break;
                        }
                    }
                    count += 1;
                }
                if let Some((parent, _)) = path.last() {
                    let parent = *parent as usize;
                    low[parent] = low[parent].min(low[node]);
                }
            }
        }
        Components { of, count }
    }

    /// The nodes by component, in ascending order within each.
    pub(crate) fn members(&self) -> Members {
        let mut rows = vec![0u32; self.count as usize + 1];
        for component in &self.of {
            rows[*component as usize + 1] += 1;
        }
        for component in 0..self.count as usize {
            rows[component + 1] += rows[component];
        }
        let mut next = rows.clone();
        let mut nodes = vec![0; self.of.len()];
        for (node, component) in self.of.iter().enumerate() {
            let place = &mut next[*component as usize];
            nodes[*place as usize] = node as u32;
            *place += 1;
        }
        Members { rows, nodes }
    }
}

/// Nodes by component.
#[derive(Debug)]
pub(crate) struct Members {
    rows: Vec<u32>,
    nodes: Vec<u32>,
}

impl Members {
    /// The nodes of a component.
    pub(crate) fn of(&self, component: u32) -> &[u32] {
        let from = self.rows[component as usize] as usize;
        &self.nodes[from..self.rows[component as usize + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Edge, GraphBuilder};
    use super::*;

    const ALL: Edges = Edges::of(&[Edge::Ww, Edge::Wr, Edge::Rw, Edge::Order]);

    #[test]
    fn nodes_on_a_circle_are_one_component_and_edges_lead_downwards() {
        let mut builder = GraphBuilder::new(6);
        for (from, to) in [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 3), (4, 5)] {
            builder.edge(from, to, Edge::Ww);
        }
        let graph = builder.finish();
        let components = Components::new(&graph, ALL);
        assert_eq!(components.count, 3);
        assert_eq!(components.of, [2, 2, 2, 1, 1, 0]);
        assert_eq!(components.members().of(2), [0, 1, 2]);
    }

    #[test]
    fn edges_that_are_not_allowed_do_not_count() {
        let mut builder = GraphBuilder::new(2);
        builder.edge(0, 1, Edge::Ww);
        builder.edge(1, 0, Edge::Rw);
        let graph = builder.finish();
        assert_eq!(Components::new(&graph, ALL).count, 1);
        assert_eq!(Components::new(&graph, Edges::of(&[Edge::Ww])).count, 2);
    }

    #[test]
    fn a_path_of_a_million_nodes_does_not_exhaust_the_stack() {
        let mut builder = GraphBuilder::new(1_000_000);
        for node in 0..999_999 {
            builder.edge(node, node + 1, Edge::Ww);
        }
        builder.edge(999_999, 0, Edge::Rw);
        assert_eq!(Components::new(&builder.finish(), ALL).count, 1);
    }
}
