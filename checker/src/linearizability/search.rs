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

use std::collections::BTreeMap;
use std::mem::size_of;
use std::time::Instant;

use hashbrown::HashMap;

use super::bits::Bits;
use super::history::History;
use super::limits::{Limits, Progress, Reason};
use super::model::Model;
use super::plan::{Closed, Plan};
use super::table::{Next, Table};
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

/// What a search found.
#[derive(Debug)]
pub(super) enum Found<S> {
    Linearizable,
    /// No order explains the history up to the return of this operation (a position).
    Stuck {
        returning: usize,
        finals: Vec<Final<S>>,
    },
    Unknown(Reason),
}

/// A configuration from which the last return cannot be passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final<S> {
    /// The state.
    pub state: S,
    /// Positions of pending operations that have taken effect.
    pub done: Vec<usize>,
    /// Positions of pending operations that have not.
    pub waiting: Vec<usize>,
    /// Positions of operations that never returned and have taken effect.
    pub used: Vec<usize>,
}

/// What a search found, and at what cost.
#[derive(Debug)]
pub(super) struct Searched<S> {
    pub(super) found: Found<S>,
    pub(super) configurations: u64,
    pub(super) bytes: usize,
}

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

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place<const W: usize> {
    layer: u32,
    state: u32,
    /// `spent` without blind operations.
    fixed: Bits<W>,
}

#[derive(Clone, Copy)]
struct Kept<const W: usize> {
    settled: Bits<W>,
    spent: Bits<W>,
    used: u32,
    next: u32,
}

const END: u32 = u32::MAX;

struct Search<'a, M: Model, const W: usize> {
    table: Table<'a, M>,
    plan: Plan,
    sets: UsedSets,
    seen: HashMap<Place<W>, u32>,
    kept: Vec<Kept<W>>,
    stack: Vec<Node<W>>,
    /// What is still to be looked at in breadth, by layer and number of open operations used.
    frontier: Option<BTreeMap<(u32, usize), Vec<Node<W>>>>,
    in_frontier: usize,
    forget_above: usize,
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
            seen: HashMap::new(),
            kept: Vec::new(),
            stack: Vec::new(),
            frontier: None,
            in_frontier: 0,
            forget_above: 1 << 16,
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
            + self.seen.capacity() * (size_of::<(Place<W>, u32)>() + 1)
            + self.kept.capacity() * size_of::<Kept<W>>()
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
        if self.kept.len() > self.forget_above {
            self.forget_before(layer);
        }
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

    /// Forgets configurations of layers that all others have passed.
    fn forget_before(&mut self, layer: u32) {
        let mut kept = Vec::new();
        let old = std::mem::take(&mut self.kept);
        self.seen.retain(|place, head| {
            if place.layer < layer {
                return false;
            }
            let mut at = std::mem::replace(head, END);
            let first = kept.len() as u32;
            while at != END {
                let next = old[at as usize].next;
                let link = if next == END {
                    END
                } else {
                    kept.len() as u32 + 1
                };
                kept.push(Kept {
                    next: link,
                    ..old[at as usize]
                });
                at = next;
            }
            *head = first;
            true
        });
        self.seen.shrink_to_fit();
        self.forget_above = (2 * kept.len()).max(1 << 16);
        self.kept = kept;
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
        if let (Some(deadline), Some(limit)) = (self.deadline, self.limits.time)
            && Instant::now() > deadline
        {
            return Some(Reason::Time { limit });
        }
        let progress = Progress {
            returns: self.deepest as usize,
            of: self.plan.layers() as usize,
            configurations: self.kept.len(),
            memory_bytes: bytes,
        };
        match self.limits.progress {
            Some(progress_hook) if progress_hook(progress).is_break() => Some(Reason::Stopped),
            _ => None,
        }
    }

    /// Passes every return that needs no decision; whether that was the last. Stops where the returning
    /// operation is not done, or is covered and could still be done.
    fn pass(&mut self, node: &mut Node<W>) -> bool {
        while node.layer < self.plan.layers() {
            if self.absorb(node) {
                node.unseen = false;
            }
            let returning = self.plan.pending(node.layer)[0];
            let settled = node.settled.get(returning.slot);
            let covered = returning.blind && !node.spent.get(returning.slot);
            if !settled || (covered && self.matters(node, returning)) {
                return false;
            }
            leave(node, returning);
        }
        true
    }

    /// Whether doing a covered operation before its return could make a difference: by itself, or after
    /// something else that can be done now.
    fn matters(&mut self, node: &Node<W>, returning: Closed) -> bool {
        self.table.next(node.state, returning.kind) != Next::One(node.state)
            || self
                .plan
                .open
                .first()
                .is_some_and(|open| open.available(node.layer) > 0)
            || self.plan.pending(node.layer)[1..]
                .iter()
                .any(|other| !other.pure && !node.spent.get(other.slot))
    }

    /// Does every pending pure operation that the state permits; whether there was one.
    fn absorb(&mut self, node: &mut Node<W>) -> bool {
        let mut any = false;
        for operation in self.plan.pending(node.layer) {
            if operation.pure
                && !node.settled.get(operation.slot)
                && self.table.next(node.state, operation.kind) != Next::Illegal
            {
                node.settled.set(operation.slot);
                any = true;
            }
        }
        any
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
        let head = self.seen.entry(place).or_insert(END);
        let (mut before, mut at) = (END, *head);
        while at != END {
            let other = self.kept[at as usize];
            if other.settled.contains(&node.settled)
                && node.spent.contains(&other.spent)
                && self.sets.leaves_at_least(other.used, node.used)
            {
                return false;
            }
            let worse = node.settled.contains(&other.settled)
                && other.spent.contains(&node.spent)
                && self.sets.leaves_at_least(node.used, other.used);
            if !worse {
                before = at;
            } else if before == END {
                *head = other.next;
            } else {
                self.kept[before as usize].next = other.next;
            }
            at = other.next;
        }
        let next = std::mem::replace(head, self.kept.len() as u32);
        self.kept.push(Kept {
            settled: node.settled,
            spent: node.spent,
            used: node.used,
            next,
        });
        true
    }

    /// Puts every way on from a configuration on the stack, the most promising on top.
    fn expand(&mut self, mut node: Node<W>) {
        let returning = self.plan.pending(node.layer)[0];
        let mut children = std::mem::take(&mut self.children);
        if node.settled.get(returning.slot) {
            // Covered: let it go unseen, or else do it before its return.
            let mut passed = node;
            leave(&mut passed, returning);
            children.push(passed);
            node.settled.clear(returning.slot);
        }
        for at in 0..self.plan.pending(node.layer).len() {
            let operation = self.plan.pending(node.layer)[at];
            let pointless = operation.blind && node.unseen;
            if operation.pure || pointless || node.spent.get(operation.slot) {
                continue;
            }
            let mut next = node;
            next.spent.set(operation.slot);
            next.settled.set(operation.slot);
            self.apply(
                next,
                operation.kind,
                operation.blind,
                at == 0,
                &mut children,
            );
        }
        for at in 0..self.plan.open.len() {
            let open = &self.plan.open[at];
            let available = open.available(node.layer);
            if available == 0 {
                break;
            }
            let (kind, blind) = (open.kind, open.blind);
            let used = self.sets.get(node.used).iter().filter(|&&k| k == kind);
            if used.count() == available
                || (blind && node.unseen)
                || self.table.next(node.state, kind) == Next::One(node.state)
            {
                continue;
            }
            let mut next = node;
            if self.table.next(node.state, kind) != Next::Illegal {
                next.used = self.sets.with(node.used, kind);
            }
            self.apply(next, kind, blind, false, &mut children);
        }
        self.stack.extend(children.drain(..).rev());
        self.children = children;
    }

    /// Pushes what an operation makes of a configuration.
    fn apply(
        &mut self,
        mut node: Node<W>,
        kind: u32,
        blind: bool,
        returns_now: bool,
        children: &mut Vec<Node<W>>,
    ) {
        if blind {
            // The returning operation itself is not covered by another: it is done last or passed.
            for other in self.plan.pending(node.layer)[1..].iter() {
                if other.blind {
                    node.settled.set(other.slot);
                }
            }
        }
        node.unseen = blind && !returns_now;
        match self.table.next(node.state, kind) {
            Next::Illegal => {}
            Next::One(state) => children.push(Node { state, ..node }),
            Next::Several(list) => {
                let states = self.table.several(list).iter();
                children.extend(states.map(|&state| Node { state, ..node }));
            }
        }
    }

    /// The configurations that came furthest.
    fn stuck(&self) -> Found<M::State> {
        let pending = self.plan.pending(self.deepest);
        let mut finals = Vec::new();
        let mut places: Vec<_> = self
            .seen
            .iter()
            .filter(|(place, _)| place.layer == self.deepest)
            .collect();
        places.sort_unstable_by_key(|&(place, _)| (place.state, place.fixed));
        for (place, &head) in places {
            let mut at = head;
            while at != END && finals.len() < MAX_SHOWN {
                let kept = &self.kept[at as usize];
                let positions = |done: bool| {
                    let of = pending
                        .iter()
                        .filter(move |operation| kept.settled.get(operation.slot) == done);
                    of.map(|operation| operation.position as usize).collect()
                };
                finals.push(Final {
                    state: self.table.state(place.state).clone(),
                    done: positions(true),
                    waiting: positions(false),
                    used: self.used_positions(kept.used),
                });
                at = kept.next;
            }
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

/// Goes on to the next return.
fn leave<const W: usize>(node: &mut Node<W>, returning: Closed) {
    node.settled.clear(returning.slot);
    node.spent.clear(returning.slot);
    node.layer += 1;
}
