//! What a checker must know about a data type.

use std::fmt;
use std::hash::Hash;

use super::history::History;

/// A sequential data type, as a state machine.
///
/// An operation carries its answer: `step` says whether, from a state, it can be done *with that
/// answer*. An operation that never returned has no answer; what it may do is part of the operation
/// too, and a `step` with several successors is fine (an open dequeue of an unordered queue).
pub trait Model: Sync {
    /// An operation with its answer.
    type Op: Clone + Eq + Hash + fmt::Debug + Send + Sync;
    /// A state. States that behave alike should be equal.
    type State: Clone + Eq + Hash + fmt::Debug;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// Pushes every state that `op`, with its answer, can lead to from `state`; none if the answer is
    /// wrong there.
    fn step(&self, state: &Self::State, op: &Self::Op, next: &mut Vec<Self::State>);

    /// Whether `op` never changes any state. Such an operation is done as soon as it can be.
    fn is_pure(&self, op: &Self::Op) -> bool;

    /// Whether `op` can be done in every state and leaves the same state whatever was there before,
    /// as a write does. Of two of these side by side, the first leaves no trace.
    fn is_blind(&self, op: &Self::Op) -> bool {
        let _ = op;
        false
    }

    /// Whether, wherever `weaker` can be done, `stronger` can be done with the same effect. Both never
    /// returned. (An open write of 3 can always stand for an open compare-and-set from 1 to 3.)
    fn stands_for(&self, stronger: &Self::Op, weaker: &Self::Op) -> bool {
        let _ = (stronger, weaker);
        false
    }

    /// Memory one state takes, in bytes, with what it keeps on the heap.
    fn state_bytes(&self, state: &Self::State) -> usize {
        let _ = state;
        std::mem::size_of::<Self::State>()
    }

    /// What a returned operation would have been had it not returned; `None` if it then says nothing.
    fn without_answer(&self, op: &Self::Op) -> Option<Self::Op>;

    /// Which of several independent objects an operation is about, if the type consists of such (the
    /// elements of a set); `None` if it is about the whole.
    fn part(&self, op: &Self::Op) -> Option<i64> {
        let _ = op;
        None
    }

    /// The value an operation is about, if a linearizable history stays so when all operations about any
    /// one value are left out of it, as long as [`shortcut`](Self::shortcut) applies.
    fn value(&self, op: &Self::Op) -> Option<i64> {
        let _ = op;
        None
    }

    /// Decides the history by an algorithm special to the type, if it has one that applies here.
    fn shortcut(&self, history: &History<Self::Op>) -> Option<Shortcut> {
        let _ = history;
        None
    }

    /// As [`shortcut`](Self::shortcut) for the beginning of the history up to and including a moment;
    /// positions are those in the whole.
    fn shortcut_until(&self, history: &History<Self::Op>, end: u32) -> Option<Shortcut> {
        let (prefix, positions) = history.prefix(end, |op| self.without_answer(op));
        let mut shortcut = self.shortcut(&prefix)?;
        for operation in shortcut
            .conflict
            .iter_mut()
            .flat_map(|conflict| &mut conflict.operations)
        {
            *operation = positions[*operation] as usize;
        }
        Some(shortcut)
    }

    /// The operation in words; `name` spells out values.
    fn describe(&self, op: &Self::Op, name: &dyn Fn(i64) -> String) -> String;

    /// A state in words.
    fn describe_state(&self, state: &Self::State, name: &dyn Fn(i64) -> String) -> String;
}

/// What an algorithm special to a data type found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortcut {
    /// Its name.
    pub method: &'static str,
    /// Why the history is not linearizable; `None` if it is.
    pub conflict: Option<Conflict>,
}

/// Operations that exclude one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What is wrong.
    pub reason: &'static str,
    /// Positions in [`History::operations`] of some operations that cannot all be explained.
    pub operations: Vec<usize>,
}

impl Conflict {
    pub(super) fn new(reason: &'static str, operations: impl IntoIterator<Item = usize>) -> Self {
        let mut operations: Vec<_> = operations.into_iter().collect();
        operations.sort_unstable();
        operations.dedup();
        Conflict { reason, operations }
    }
}
