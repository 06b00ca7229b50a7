//! Ways on from a configuration.

use super::{Node, Search};
use crate::linearizability::model::Model;
use crate::linearizability::plan::Closed;
use crate::linearizability::table::Next;

impl<M: Model, const W: usize> Search<'_, M, W> {
    /// Passes every return that needs no decision; whether that was the last. Stops where the returning
    /// operation is not done, or is covered and could still be done.
    pub(super) fn pass(&mut self, node: &mut Node<W>) -> bool {
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

    /// Puts every way on from a configuration on the stack, the most promising on top.
    pub(super) fn expand(&mut self, mut node: Node<W>) {
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
}

/// Goes on to the next return.
fn leave<const W: usize>(node: &mut Node<W>, returning: Closed) {
    node.settled.clear(returning.slot);
    node.spent.clear(returning.slot);
    node.layer += 1;
}
