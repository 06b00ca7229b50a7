//! What the order of commits must respect.

use hashbrown::HashMap;

use super::super::super::components::Components;
use super::super::super::cycles::circle;
use super::super::super::dictionary::Dictionary;
use super::super::super::graph::{Edge, Edges, GraphBuilder};
use super::super::super::order::by_process_order;
use super::super::super::stretches::Stretches;
use super::super::super::transactions::{NONE, Outcome};
use super::super::interactions::Registers;
use super::super::within::show;

const ALL: Edges = Edges::of(&[Edge::Ww, Edge::Wr]);

/// Session order, "read from", and what a level adds.
pub(super) struct Constraints {
    /// Per transaction, its session, or [`NONE`] if sessions do not count.
    pub(super) session: Vec<u32>,
    /// Per transaction, its place in its session.
    pub(super) place: Vec<u32>,
    /// Per session, its transactions in order.
    pub(super) sessions: Vec<Vec<u32>>,
    /// Transactions so that session order and "read from" lead forward.
    pub(super) order: Vec<u32>,
    /// Per transaction, its position in `order`.
    pub(super) position: Vec<u32>,
    /// Pairs: the first committed before the second, because of what the third read.
    pub(super) added: Vec<(u32, u32, u32)>,
    /// A transaction that read an initial version although it must see another: by whom, and of which
    /// key.
    pub(super) initial: Option<(u32, u32, u32)>,
}

/// How far a transaction's predecessors were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Entered,
    Done,
}

impl Constraints {
    /// Session order and "read from"; `None` if they alone have a cycle: that is told elsewhere.
    pub(super) fn new(registers: &Registers<'_>, sessions: bool) -> Option<Self> {
        let txns = registers.history.txns().len();
        let mut constraints = Constraints {
            session: vec![NONE; txns],
            place: vec![0; txns],
            sessions: Vec::new(),
            order: Vec::new(),
            position: vec![0; txns],
            added: Vec::new(),
            initial: None,
        };
        let near = by_process_order(registers.history);
        if sessions {
            constraints.number_sessions(registers, &near);
        }
        constraints.order = constraints.sort(registers, &near)?;
        for (position, txn) in constraints.order.iter().enumerate() {
            constraints.position[*txn as usize] = position as u32;
        }
        Some(constraints)
    }

    /// Transactions so that session order and "read from" lead forward, as near as possible to the given
    /// order.
    fn sort(&self, registers: &Registers<'_>, near: &[u32]) -> Option<Vec<u32>> {
        let mut order = Vec::with_capacity(near.len());
        let mut marks = vec![Mark::New; near.len()];
        let mut stack = Vec::new();
        for first in near {
            stack.push(*first);
            while let Some(txn) = stack.last().copied() {
                let top = stack.len();
                if marks[txn as usize] == Mark::New {
                    marks[txn as usize] = Mark::Entered;
                    for before in self.direct(registers, txn) {
                        match marks[before as usize] {
                            Mark::New => stack.push(before),
                            Mark::Entered => return None,
                            Mark::Done => {}
                        }
                    }
                }
                if stack.len() == top {
                    stack.pop();
                    if marks[txn as usize] == Mark::Entered {
                        marks[txn as usize] = Mark::Done;
                        order.push(txn);
                    }
                }
            }
        }
        Some(order)
    }

    /// What precedes a transaction directly: the one before in its session, and those it read from.
    pub(super) fn direct(&self, registers: &Registers<'_>, txn: u32) -> impl Iterator<Item = u32> {
        let reads = registers.of(txn).iter().filter(|read| read.read != NONE);
        let writers = reads.map(|read| registers.writer[read.read as usize]);
        self.before(txn)
            .into_iter()
            .chain(writers.filter(move |writer| *writer != NONE && *writer != txn))
    }

    /// The transaction before one in its session.
    pub(super) fn before(&self, txn: u32) -> Option<u32> {
        let members = self.sessions.get(self.session[txn as usize] as usize)?;
        let place = self.place[txn as usize].checked_sub(1)?;
        Some(members[place as usize])
    }

    fn number_sessions(&mut self, registers: &Registers<'_>, order: &[u32]) {
        let mut of: HashMap<i64, u32> = HashMap::new();
        for txn in order.iter().copied() {
            let described = registers.history.txn(txn);
            if !registers.present[txn as usize] {
                continue;
            }
            let session = *of
                .entry(described.process)
                .or_insert(self.sessions.len() as u32);
            if session as usize == self.sessions.len() {
                self.sessions.push(Vec::new());
            }
            let members = &mut self.sessions[session as usize];
            self.session[txn as usize] = session;
            self.place[txn as usize] = members.len() as u32;
            members.push(txn);
            // It may have taken effect after whatever its process did next.
            if described.outcome == Outcome::Open {
                of.remove(&described.process);
            }
        }
    }

    /// `reader` read a key from `from` (or its initial version) although it must see that `other` wrote
    /// it.
    pub(super) fn must_precede(&mut self, other: u32, from: u32, reader: u32, key: u32) {
        if from == NONE {
            self.initial = self.initial.or(Some((reader, other, key)));
        } else if other != from && other != reader {
            self.added.push((other, from, reader));
        }
    }

    /// A cycle of constraints in words, if there is one.
    pub(super) fn find_cycle(
        &self,
        registers: &Registers<'_>,
        names: &Dictionary,
    ) -> Option<(Vec<u32>, String)> {
        let label = |txn: u32| format!("T{}", registers.history.txn(txn).label);
        if let Some((reader, other, key)) = self.initial {
            let text = format!(
                "{} read {}, although it must see what {} wrote to that key",
                label(reader),
                show(registers, names, key),
                label(other)
            );
            return Some((vec![other, reader], text));
        }
        let cycle = self.cycle(registers)?;
        let mut lines = Vec::new();
        for (at, txn) in cycle.iter().enumerate() {
            let next = cycle[(at + 1) % cycle.len()];
            lines.push(self.reason(registers, *txn, next, &label));
        }
        Some((cycle, lines.join("\n")))
    }

    /// The transactions of a cycle, if there is one. All else leads forward in `order`, so that a cycle lies
    /// where constraints lead back, overlapping.
    fn cycle(&self, registers: &Registers<'_>) -> Option<Vec<u32>> {
        let position = |txn: u32| self.position[txn as usize];
        let mut stretches = Stretches::default();
        for (before, after, _) in &self.added {
            stretches.add(position(*before), position(*after));
        }
        let stretches = stretches.merged();
        let nodes: Vec<u32> = stretches.iter().cloned().flatten().collect();
        if nodes.is_empty() {
            return None;
        }
        let mut numbers = vec![NONE; self.order.len()];
        for (number, node) in (0..).zip(&nodes) {
            numbers[*node as usize] = number;
        }
        let number = |txn: u32| numbers[position(txn) as usize];
        let mut graph = GraphBuilder::new(nodes.len() as u32);
        let mut add = |before: u32, after: u32, edge: Edge| {
            let (before, after) = (number(before), number(after));
            if before != NONE && after != NONE {
                graph.edge(before, after, edge);
            }
        };
        for node in &nodes {
            let txn = self.order[*node as usize];
            for before in self.direct(registers, txn) {
                add(before, txn, Edge::Wr);
            }
        }
        for (before, after, _) in &self.added {
            add(*before, *after, Edge::Ww);
        }
        let graph = graph.finish();
        let components = Components::new(&graph, ALL);
        if components.count == graph.nodes() {
            return None;
        }
        let members = components.members();
        let component = (0..components.count).find(|component| members.of(*component).len() > 1)?;
        let members = members.of(component);
        let part = graph.part(members, &mut vec![u32::MAX; graph.nodes() as usize]);
        let cycle = circle(&part).into_iter();
        Some(
            cycle
                .map(|at| self.order[nodes[members[at as usize] as usize] as usize])
                .collect(),
        )
    }

    fn reason(
        &self,
        registers: &Registers<'_>,
        txn: u32,
        next: u32,
        label: &impl Fn(u32) -> String,
    ) -> String {
        let reads = registers.of(next).iter().any(|interaction| {
            interaction.read != NONE && registers.writer[interaction.read as usize] == txn
        });
        if reads {
            return format!("{} wrote what {} read", label(txn), label(next));
        }
        let added = self
            .added
            .iter()
            .find(|(before, after, _)| (*before, *after) == (txn, next));
        match added {
            Some((_, _, reader)) => format!(
                "{} committed before {}, from which {} read what both wrote, although it must see the first",
                label(txn),
                label(next),
                label(*reader)
            ),
            None => format!(
                "{} ran in the same process before {}",
                label(txn),
                label(next)
            ),
        }
    }
}
