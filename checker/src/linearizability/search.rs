//! The search that works for every model.
//!
//! Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with the memoisation and
//! the just-in-time linearization of Lowe ("Testing for linearizability", 2017): returns are passed one
//! after the other, and an operation is linearized only when the return at hand cannot be passed
//! without. A configuration is the layer (which return is next), the state, and what has been done.
//! Four things keep their number down, none of which loses a solution:
//!
//! - A pending operation that changes nothing (a read) is done as soon as the state permits it.
//! - A *blind* operation (a write) pending while another blind operation is done can be thought to have
//!   been done right before it, unseen. It is then *covered*: it need not be done any more, but still
//!   may. So the search never guesses which pending writes a write hides.
//! - Operations that never returned are counted by kind, not told apart.
//! - A configuration is dropped if one found earlier in the same layer and state has at least as much
//!   done or covered and has used up no more operations, open ones counted by what can stand for them.
//!
//! At first the search goes into depth, which finds an order soon if there is one. Past a number of
//! configurations there probably is none, and it goes on in breadth: layer by layer, those first that have
//! used up fewest open operations. Then few configurations are looked at in vain, and those of layers
//! passed are forgotten.
//!
//! The number of configurations is at worst exponential in the operations pending at one moment, and in
//! the number of *kinds* of open operations; deciding linearizability is NP-complete (Gibbons and
//! Korach, "Testing shared memories", 1997). Memory is linear in configurations kept, whose size does
//! not depend on the length of the history.

mod steps;

use std::collections::BTreeMap;
use std::mem::size_of;
use std::time::Instant;

use super::bits::Bits;
use super::configurations::{Configurations, Kept, Place};
use super::found::{Final, Found, Searched};
use super::history::History;
use super::limits::{Limits, Progress, Reason};
use super::model::Model;
use super::plan::Plan;
use super::table::Table;
use super::used::UsedSets;

/// Most operations in flight that a search can tell apart.
const MAX_WIDTH: usize = 64 * 64;
/// Configurations looked at in depth for each return, and at least, before the search goes on in breadth.
const DEPTH_PER_RETURN: u64 = 8;
const MIN_DEPTH: u64 = 4096;
/// Configurations between two looks at the clock.
const LOOK_EVERY: u64 = 1 << 12;
/// Configurations shown for a violation.
const MAX_SHOWN: usize = 8;

/// Decides a history by search.
pub(super) fn search<M: Model>(
    model: &M,
    history: &History<M::Op>,
    limits: &Limits<'_>,
    deadline: Option<Instant>,
) -> Searched<M::State> {
    let bytes = Plan::bytes_for(history);
    if bytes > limits.memory_bytes {
        let limit_bytes = limits.memory_bytes;
        return Searched {
            found: Found::Unknown(Reason::Memory { limit_bytes }),
            configurations: 0,
            bytes: 0,
        };
    }
    let (table, kind_of) = Table::new(model, history.operations().iter().map(|o| &o.op));
    let plan = Plan::new(model, history, &table, &kind_of);
    match plan.width {
        0..=64 => Search::<M, 1>::new(model, table, plan, limits, deadline).run(),
        65..=128 => Search::<M, 2>::new(model, table, plan, limits, deadline).run(),
        129..=512 => Search::<M, 8>::new(model, table, plan, limits, deadline).run(),
        513..=MAX_WIDTH => Search::<M, 64>::new(model, table, plan, limits, deadline).run(),
        found => Searched {
            found: Found::Unknown(Reason::Concurrency {
                found,
                limit: MAX_WIDTH,
            }),
            configurations: 0,
            bytes: 0,
        },
    }
}

#[derive(Debug, Clone, Copy)]
struct Node<const W: usize> {
    layer: u32,
    state: u32,
    /// Pending operations that are done or covered.
    settled: Bits<W>,
    /// Pending operations that cannot be done any more, pure ones left out.
    spent: Bits<W>,
    /// Open operations used, in [`UsedSets`].
    used: u32,
    /// The state was left by a blind operation that nothing has seen yet: another one right now would
    /// make it pointless.
    unseen: bool,
}

struct Search<'a, M: Model, const W: usize> {
    table: Table<'a, M>,
    plan: Plan,
    sets: UsedSets,
    known: Configurations<W>,
    stack: Vec<Node<W>>,
    /// What is still to be looked at in breadth, by layer and number of open operations used.
    frontier: Option<BTreeMap<(u32, usize), Vec<Node<W>>>>,
    in_frontier: usize,
    deepest: u32,
    limits: &'a Limits<'a>,
    deadline: Option<Instant>,
    configurations: u64,
    children: Vec<Node<W>>,
}

impl<'a, M: Model, const W: usize> Search<'a, M, W> {
    fn new(
        model: &M,
        table: Table<'a, M>,
        plan: Plan,
        limits: &'a Limits<'a>,
        deadline: Option<Instant>,
    ) -> Self {
        let kinds = table.kinds();
        let mut stronger = vec![Box::default(); kinds.len()];
        for weak in &plan.open {
            let standing = plan.open.iter().map(|open| open.kind).filter(|&strong| {
                strong != weak.kind
                    && model.stands_for(kinds[strong as usize], kinds[weak.kind as usize])
            });
            stronger[weak.kind as usize] = standing.collect();
        }
        Search {
            table,
            plan,
            sets: UsedSets::new(stronger),
            known: Configurations::default(),
            stack: Vec::new(),
            frontier: None,
            in_frontier: 0,
            deepest: 0,
            limits,
            deadline,
            configurations: 0,
            children: Vec::new(),
        }
    }

    fn run(mut self) -> Searched<M::State> {
        let found = self.explore();
        Searched {
            found,
            configurations: self.configurations,
            bytes: self.bytes(),
        }
    }

    fn bytes(&self) -> usize {
        self.plan.bytes()
            + self.table.bytes()
            + self.sets.bytes()
            + self.known.bytes()
            + (self.stack.capacity() + self.in_frontier) * size_of::<Node<W>>()
    }

    fn explore(&mut self) -> Found<M::State> {
        self.stack.push(Node {
            layer: 0,
            state: 0,
            settled: Bits::EMPTY,
            spent: Bits::EMPTY,
            used: 0,
            unseen: false,
        });
        let usual = MIN_DEPTH.max(DEPTH_PER_RETURN * u64::from(self.plan.layers()));
        let in_depth = self.limits.in_depth.unwrap_or(usual);
        while let Some(node) = self.next_node() {
            if node.layer == self.plan.layers() {
                return Found::Linearizable;
            }
            self.deepest = self.deepest.max(node.layer);
            if !self.keep(&node) {
                continue;
            }
            self.configurations += 1;
            if let Some(reason) = self.out_of_bounds() {
                return Found::Unknown(reason);
            }
            self.expand(node);
            if self.configurations == in_depth {
                self.frontier = Some(BTreeMap::new());
            }
            while self.frontier.is_some()
                && let Some(node) = self.stack.pop()
            {
                if self.put_in_frontier(node) {
                    return Found::Linearizable;
                }
            }
        }
        self.stuck()
    }

    /// The configuration to look at next, at a return that needs a decision or past the last.
    fn next_node(&mut self) -> Option<Node<W>> {
        let Some(frontier) = &mut self.frontier else {
            let mut node = self.stack.pop()?;
            self.pass(&mut node);
            return Some(node);
        };
        let mut first = frontier.first_entry()?;
        let layer = first.key().0;
        let node = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        self.in_frontier -= 1;
        self.known.forget_before(layer);
        node
    }

    /// Moves a configuration to the frontier; whether it is past the last return.
    fn put_in_frontier(&mut self, mut node: Node<W>) -> bool {
        if self.pass(&mut node) {
            return true;
        }
        let used = self.sets.get(node.used).len();
        if let Some(frontier) = &mut self.frontier {
            frontier.entry((node.layer, used)).or_default().push(node);
            self.in_frontier += 1;
        }
        false
    }

    fn out_of_bounds(&self) -> Option<Reason> {
        let bytes = self.bytes();
        if bytes > self.limits.memory_bytes {
            return Some(Reason::Memory {
                limit_bytes: self.limits.memory_bytes,
            });
        }
        if !self.configurations.is_multiple_of(LOOK_EVERY) {
            return None;
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline)
        {
            return Some(Reason::Time);
        }
        let progress = Progress {
            returns: self.deepest as usize,
            of: self.plan.layers() as usize,
            configurations: self.known.len(),
            memory_bytes: bytes,
        };
        match self.limits.progress {
            Some(progress_hook) if progress_hook(progress).is_break() => Some(Reason::Stopped),
            _ => None,
        }
    }

    /// Remembers a configuration, unless one at least as good is known.
    fn keep(&mut self, node: &Node<W>) -> bool {
        let mut fixed = node.spent;
        for operation in self.plan.pending(node.layer) {
            if operation.blind {
                fixed.clear(operation.slot);
            }
        }
        let place = Place {
            layer: node.layer,
            state: node.state,
            fixed,
        };
        let kept = Kept::new(node.settled, node.spent, node.used);
        self.known.keep(place, kept, &mut self.sets)
    }

    /// The configurations that came furthest.
    fn stuck(&self) -> Found<M::State> {
        let pending = self.plan.pending(self.deepest);
        let mut finals = Vec::new();
        for (state, kept) in self.known.of_layer(self.deepest).take(MAX_SHOWN) {
            let positions = |done: bool| {
                let of = pending
                    .iter()
                    .filter(move |operation| kept.settled.get(operation.slot) == done);
                of.map(|operation| operation.position as usize).collect()
            };
            finals.push(Final {
                state: self.table.state(state).clone(),
                done: positions(true),
                waiting: positions(false),
                used: self.used_positions(kept.used),
            });
        }
        Found::Stuck {
            returning: pending[0].position as usize,
            finals,
        }
    }

    /// Which open operations a set stands for: the earliest of each kind.
    fn used_positions(&self, used: u32) -> Vec<usize> {
        let mut positions = Vec::new();
        for open in &self.plan.open {
            let count = self.sets.get(used).iter().filter(|&&k| k == open.kind);
            let of = open.since.iter().take(count.count());
            positions.extend(of.map(|&(_, position)| position as usize));
        }
        positions.sort_unstable();
        positions
    }
}
