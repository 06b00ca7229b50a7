//! Things that values are put into and taken out of: unordered queue, FIFO queue, stack.

use std::mem::size_of;

use crate::linearizability::history::History;
use crate::linearizability::model::{Model, Shortcut};
use crate::linearizability::{fifo, lifo, unordered};

/// An operation of a [`Bag`], [`FifoQueue`] or [`Stack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PutTake {
    /// Put a value in (enqueue, push).
    Put(i64),
    /// Took this value out (dequeue, pop).
    Take(i64),
    /// Found nothing to take.
    Empty,
    /// A take that never returned: may take whatever its type permits.
    TakeUnknown,
}

/// An operation of a [`Bag`].
pub type BagOp = PutTake;
/// An operation of a [`FifoQueue`].
pub type QueueOp = PutTake;
/// An operation of a [`Stack`].
pub type StackOp = PutTake;

/// A queue that promises no order; equal values may be in it more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bag;

/// A queue that gives values back in the order it got them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FifoQueue;

/// A stack: the last value in is the first out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack;

type Values = Box<[i64]>;

/// What tells these types apart: where a value is put, and which can be taken. The values are in an
/// order that is theirs.
trait Collection: Sync {
    /// What putting and taking is called.
    const WORDS: [&'static str; 2];

    /// Where a value is put.
    fn place(values: &[i64], value: i64) -> usize;

    /// Where a value can be taken from, of equal ones only one.
    fn takeable(values: &[i64]) -> impl Iterator<Item = usize>;

    /// Where this value can be taken from, if it can.
    fn find(values: &[i64], value: i64) -> Option<usize> {
        Self::takeable(values).find(|&at| values[at] == value)
    }

    fn shortcut(history: &History<PutTake>) -> Option<Shortcut>;

    /// As [`Model::stands_for`].
    fn stands_for(stronger: PutTake, weaker: PutTake) -> bool {
        let _ = (stronger, weaker);
        false
    }
}

/// Sorted.
impl Collection for Bag {
    const WORDS: [&str; 2] = ["put", "take"];

    fn place(values: &[i64], value: i64) -> usize {
        values.partition_point(|&v| v < value)
    }

    fn takeable(values: &[i64]) -> impl Iterator<Item = usize> {
        (0..values.len()).filter(|&at| at == 0 || values[at] != values[at - 1])
    }

    fn find(values: &[i64], value: i64) -> Option<usize> {
        values.binary_search(&value).ok()
    }

    fn shortcut(history: &History<PutTake>) -> Option<Shortcut> {
        unordered::bag(history)
    }

    fn stands_for(stronger: PutTake, weaker: PutTake) -> bool {
        matches!((stronger, weaker), (PutTake::TakeUnknown, PutTake::Take(_)))
    }
}

/// The oldest first.
impl Collection for FifoQueue {
    const WORDS: [&str; 2] = ["enqueue", "dequeue"];

    fn place(values: &[i64], _: i64) -> usize {
        values.len()
    }

    fn takeable(values: &[i64]) -> impl Iterator<Item = usize> {
        0..values.len().min(1)
    }

    fn shortcut(history: &History<PutTake>) -> Option<Shortcut> {
        fifo::queue(history)
    }
}

/// The oldest first.
impl Collection for Stack {
    const WORDS: [&str; 2] = ["push", "pop"];

    fn place(values: &[i64], _: i64) -> usize {
        values.len()
    }

    fn takeable(values: &[i64]) -> impl Iterator<Item = usize> {
        values.len().saturating_sub(1)..values.len()
    }

    fn shortcut(history: &History<PutTake>) -> Option<Shortcut> {
        lifo::stack(history)
    }
}

impl<C: Collection> Model for C {
    type Op = PutTake;
    type State = Values;

    fn initial(&self) -> Values {
        Box::default()
    }

    fn step(&self, state: &Values, op: &PutTake, next: &mut Vec<Values>) {
        match *op {
            PutTake::Put(value) => next.push(with(state, C::place(state, value), value)),
            PutTake::Take(value) => next.extend(C::find(state, value).map(|at| without(state, at))),
            PutTake::Empty => next.extend(state.is_empty().then(|| state.clone())),
            PutTake::TakeUnknown => next.extend(C::takeable(state).map(|at| without(state, at))),
        }
    }

    fn is_pure(&self, op: &PutTake) -> bool {
        *op == PutTake::Empty
    }

    fn stands_for(&self, stronger: &PutTake, weaker: &PutTake) -> bool {
        C::stands_for(*stronger, *weaker)
    }

    fn state_bytes(&self, state: &Values) -> usize {
        size_of::<Values>() + size_of_val::<[i64]>(state)
    }

    fn without_answer(&self, op: &PutTake) -> Option<PutTake> {
        Some(match *op {
            PutTake::Put(value) => PutTake::Put(value),
            _ => PutTake::TakeUnknown,
        })
    }

    fn value(&self, op: &PutTake) -> Option<i64> {
        match *op {
            PutTake::Put(value) | PutTake::Take(value) => Some(value),
            PutTake::Empty | PutTake::TakeUnknown => None,
        }
    }

    fn shortcut(&self, history: &History<PutTake>) -> Option<Shortcut> {
        C::shortcut(history)
    }

    fn describe(&self, op: &PutTake, name: &dyn Fn(i64) -> String) -> String {
        let [put, take] = C::WORDS;
        match *op {
            PutTake::Put(value) => format!("{put} {}", name(value)),
            PutTake::Take(value) => format!("{take} {}", name(value)),
            PutTake::Empty => format!("{take}: empty"),
            PutTake::TakeUnknown => format!("{take}: no answer"),
        }
    }

    fn describe_state(&self, state: &Values, name: &dyn Fn(i64) -> String) -> String {
        let values: Vec<_> = state.iter().map(|&value| name(value)).collect();
        format!("[{}]", values.join(" "))
    }
}

fn without(values: &[i64], at: usize) -> Values {
    let mut values = values.to_vec();
    values.remove(at);
    values.into_boxed_slice()
}

fn with(values: &[i64], at: usize, value: i64) -> Values {
    let mut values = values.to_vec();
    values.insert(at, value);
    values.into_boxed_slice()
}
