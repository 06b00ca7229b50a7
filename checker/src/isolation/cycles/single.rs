//! Cycles with exactly one miss: who missed a write, and is reached from its writer without a miss.
//!
//! Reachability in a graph whose components are in topological order, 64 questions at a time: each
//! node's word says which questions lead to it. A pass goes over the components between the first
//! start and the last goal. Questions are sorted by start, so that where the graph follows time each
//! pass is short. Worst case O(misses / 64 * edges).

use super::super::anomaly::CycleKind;
use super::super::components::{Components, Members};
use super::super::cycle::Cycle;
use super::super::graph::{Edge, Edges, Graph};
use super::closed::best;
use super::missed::{only_missed, regrade};

/// A cycle with one miss and otherwise permitted edges.
pub(super) fn search(graph: &Graph, allowed: Edges) -> Option<Cycle> {
    let components = Components::new(graph, allowed);
    let of = &components.of;
    let mut misses: Vec<(u32, u32)> = Vec::new();
    for txn in 0..graph.txns() {
        for (to, edge) in graph.out(txn) {
            // Edges lead to the same or a lower component.
            let leads_back = of[to as usize] >= of[txn as usize];
            if edge == Edge::Rw && leads_back && only_missed(graph, txn, to) {
                misses.push((txn, to));
            }
        }
    }
    if misses.is_empty() {
        return None;
    }
    misses.sort_by_key(|(txn, to)| (std::cmp::Reverse(of[*to as usize]), *txn, *to));
    let members = components.members();
    let mut words = vec![0u64; components.count as usize];
    let closing = misses
        .chunks(u64::BITS as usize)
        .flat_map(|questions| answer(graph, allowed, &components, &members, questions, &mut words));
    best(graph, allowed, closing, |steps| {
        regrade(graph, steps);
        Cycle::new(steps.to_vec(), true).kind() == CycleKind::GSingle
    })
}

/// Those misses that lie on a cycle.
fn answer(
    graph: &Graph,
    allowed: Edges,
    components: &Components,
    members: &Members,
    questions: &[(u32, u32)],
    words: &mut [u64],
) -> Vec<(u32, u32, Edge)> {
    let of = &components.of;
    let first = of[questions[0].1 as usize];
    let mut last = first;
    for (bit, (txn, to)) in questions.iter().enumerate() {
        words[of[*to as usize] as usize] |= 1 << bit;
        last = last.min(of[*txn as usize]);
    }
    for component in (last..=first).rev() {
        let word = words[component as usize];
        if word == 0 {
            continue;
        }
        for node in members.of(component) {
            for (to, edge) in graph.out(*node) {
                let to = of[to as usize];
                if allowed.has(edge) && to >= last {
                    words[to as usize] |= word;
                }
            }
        }
    }
    let reached = questions
        .iter()
        .enumerate()
        .filter(|(bit, (txn, _))| words[of[*txn as usize] as usize] & (1 << bit) != 0);
    let closing = reached
        .map(|(_, (txn, to))| (*txn, *to, Edge::Rw))
        .collect();
    words[last as usize..=first as usize].fill(0);
    closing
}
