//! Session guarantees on a register that several processes write: whether any order of its writes is left.
//!
//! Each process's own writes are in the order of their calls, and all follow the initial version. A read that must
//! not be older than another version puts the two in order. The guarantee holds if and only if no two versions must
//! each not be older than the other: any order that extends what is known will do. Where a read must not be older
//! than all that somebody had read, a set stands for those versions, and contains the set that was read before:
//! so that each read adds one to it, not all. Linear time.

use std::collections::VecDeque;

use crate::isolation::{Components, DATA, Edge, GraphBuilder};

/// What is known of the order of one register's versions; 0 is the initial one.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The earlier, the later, and the line that shows it.
    pairs: Vec<(Node, Node, u64)>,
    sets: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Version(u32),
    /// Later than each version in it, and no more than that.
    Set(u32),
}

impl Order {
    /// One version is not after another.
    pub(super) fn note(&mut self, earlier: u32, later: u32, line: u64) {
        let (earlier, later) = (Node::Version(earlier), Node::Version(later));
        if earlier != later {
            self.pairs.push((earlier, later, line));
        }
    }

    /// A set of a version and all that another set has.
    pub(super) fn set(&mut self, more: Option<u32>, version: u32, line: u64) -> u32 {
        let set = self.sets;
        self.sets += 1;
        let members = more.map(Node::Set).into_iter();
        for member in members.chain([Node::Version(version)]) {
            self.pairs.push((member, Node::Set(set), line));
        }
        set
    }

    /// No version in a set is after another version.
    pub(super) fn note_all(&mut self, set: u32, later: u32, line: u64) {
        self.pairs
            .push((Node::Set(set), Node::Version(later), line));
    }

    /// Versions that follow one another in a circle, each with the line that shows that the next one follows, among
    /// versions of which each has a writer.
    pub(super) fn circle(&self, writers: &[i64]) -> Option<Vec<(u32, u64)>> {
        let versions = writers.len() as u32 + 1;
        let number = |node: Node| match node {
            Node::Version(version) => version,
            Node::Set(set) => versions + set,
        };
        let mut last = hashbrown::HashMap::new();
        let own = (1..).zip(writers).map(|(version, writer)| {
            let earlier = last.insert(writer, version).unwrap_or(0);
            (earlier, version, 0)
        });
        let noted = self.pairs.iter();
        let noted = noted.map(|(earlier, later, line)| (number(*earlier), number(*later), *line));
        let pairs: Vec<(u32, u32, u64)> = own.chain(noted).collect();
        let mut graph = GraphBuilder::new(versions + self.sets);
        for (earlier, later, _) in &pairs {
            graph.edge(*earlier, *later, Edge::Ww);
        }
        let components = Components::new(&graph.finish(), DATA).of;
        // Two versions of one component: each is not after the other.
        let mut first = hashbrown::HashMap::new();
        let (one, other) = (0..versions).find_map(|version| {
            let one = *first.entry(components[version as usize]).or_insert(version);
            (one != version).then_some((one, version))
        })?;
        let part = components[one as usize];
        let inside = |node: u32| components[node as usize] == part;
        let mut after = vec![Vec::new(); components.len()];
        for (earlier, later, line) in pairs {
            if inside(earlier) && inside(later) {
                after[earlier as usize].push((later, line));
            }
        }
        let mut circle: Vec<(u32, u64)> = Vec::new();
        let (there, back) = (way(&after, one, other)?, way(&after, other, one)?);
        for (node, line) in there.into_iter().chain(back) {
            match circle.last_mut() {
                // What follows a set follows what is in it.
                Some(before) if node >= versions => before.1 = line,
                _ => circle.push((node, line)),
            }
        }
        Some(circle)
    }
}

/// A shortest way from one node to another: each node on it but the last, with the line that shows that the
/// one behind it follows.
fn way(after: &[Vec<(u32, u64)>], from: u32, to: u32) -> Option<Vec<(u32, u64)>> {
    let mut before = vec![None; after.len()];
    let mut reached = VecDeque::from([from]);
    while let Some(node) = reached.pop_front() {
        for (next, line) in &after[node as usize] {
            if before[*next as usize].is_none() {
                before[*next as usize] = Some((node, *line));
                reached.push_back(*next);
            }
        }
    }
    let mut way = Vec::new();
    let mut at = to;
    while at != from {
        way.push(before[at as usize]?);
        at = way.last()?.0;
    }
    way.reverse();
    Some(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_a_circle_are_found_with_the_lines_that_show_it() {
        let mut order = Order::default();
        order.note(1, 2, 10);
        order.note(2, 3, 11);
        assert_eq!(order.circle(&[7, 8, 9]), None);
        order.note(3, 1, 12);
        let circle = order.circle(&[7, 8, 9]).unwrap();
        let from = circle
            .iter()
            .position(|(version, _)| *version == 1)
            .unwrap();
        let turned: Vec<_> = circle[from..]
            .iter()
            .chain(&circle[..from])
            .copied()
            .collect();
        assert_eq!(turned, [(1, 10), (2, 11), (3, 12)]);
    }

    #[test]
    fn a_process_writes_in_its_order_and_nothing_precedes_the_initial_version() {
        let mut order = Order::default();
        order.note(2, 1, 10);
        assert_eq!(order.circle(&[7, 8]), None);
        assert!(order.circle(&[7, 7]).is_some());
        let mut order = Order::default();
        order.note(1, 0, 10);
        assert!(order.circle(&[7]).is_some());
    }

    #[test]
    fn a_read_of_one_of_a_set_must_not_be_older_than_the_others() {
        let mut order = Order::default();
        let one = order.set(None, 1, 10);
        let two = order.set(Some(one), 2, 11);
        order.note_all(two, 2, 12);
        assert_eq!(order.circle(&[7, 8]), None);
        order.note_all(one, 2, 13);
        assert_eq!(order.circle(&[7, 8]), None);
        order.note_all(two, 1, 14);
        assert_eq!(order.circle(&[7, 8]), Some(vec![(1, 13), (2, 14)]));
    }
}
