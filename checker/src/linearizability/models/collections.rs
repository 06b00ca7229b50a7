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

impl PutTake {
    fn without_answer(self) -> Option<Self> {
        Some(match self {
            PutTake::Put(value) => PutTake::Put(value),
            _ => PutTake::TakeUnknown,
        })
    }

    fn value(self) -> Option<i64> {
        match self {
            PutTake::Put(value) | PutTake::Take(value) => Some(value),
            PutTake::Empty | PutTake::TakeUnknown => None,
        }
    }

    fn describe(self, put: &str, take: &str, name: &dyn Fn(i64) -> String) -> String {
        match self {
            PutTake::Put(value) => format!("{put} {}", name(value)),
            PutTake::Take(value) => format!("{take} {}", name(value)),
            PutTake::Empty => format!("{take}: empty"),
            PutTake::TakeUnknown => format!("{take}: no answer"),
        }
    }
}

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

fn bytes(values: &Values) -> usize {
    size_of::<Values>() + size_of_val::<[i64]>(values)
}

fn list(values: &Values, name: &dyn Fn(i64) -> String) -> String {
    let values: Vec<_> = values.iter().map(|&value| name(value)).collect();
    format!("[{}]", values.join(" "))
}

impl Model for Bag {
    type Op = PutTake;
    type State = Values;

    fn initial(&self) -> Values {
        Box::default()
    }

    fn step(&self, state: &Values, op: &PutTake, next: &mut Vec<Values>) {
        match *op {
            PutTake::Put(value) => {
                next.push(with(state, state.partition_point(|&v| v < value), value));
            }
            PutTake::Take(value) => next.extend(
                state
                    .binary_search(&value)
                    .ok()
                    .map(|at| without(state, at)),
            ),
            PutTake::Empty => next.extend(state.is_empty().then(|| state.clone())),
            PutTake::TakeUnknown => {
                for at in 0..state.len() {
                    if at == 0 || state[at] != state[at - 1] {
                        next.push(without(state, at));
                    }
                }
            }
        }
    }

    fn is_pure(&self, op: &PutTake) -> bool {
        *op == PutTake::Empty
    }

    fn stands_for(&self, stronger: &PutTake, weaker: &PutTake) -> bool {
        matches!((stronger, weaker), (PutTake::TakeUnknown, PutTake::Take(_)))
    }

    fn state_bytes(&self, state: &Values) -> usize {
        bytes(state)
    }

    fn without_answer(&self, op: &PutTake) -> Option<PutTake> {
        op.without_answer()
    }

    fn value(&self, op: &PutTake) -> Option<i64> {
        op.value()
    }

    fn shortcut(&self, history: &History<PutTake>) -> Option<Shortcut> {
        unordered::bag(history)
    }

    fn describe(&self, op: &PutTake, name: &dyn Fn(i64) -> String) -> String {
        op.describe("put", "take", name)
    }

    fn describe_state(&self, state: &Values, name: &dyn Fn(i64) -> String) -> String {
        list(state, name)
    }
}

impl Model for FifoQueue {
    type Op = PutTake;
    type State = Values;

    fn initial(&self) -> Values {
        Box::default()
    }

    fn step(&self, state: &Values, op: &PutTake, next: &mut Vec<Values>) {
        match *op {
            PutTake::Put(value) => next.push(with(state, state.len(), value)),
            PutTake::Take(value) => {
                if state.first() == Some(&value) {
                    next.push(without(state, 0));
                }
            }
            PutTake::Empty => next.extend(state.is_empty().then(|| state.clone())),
            PutTake::TakeUnknown => next.extend((!state.is_empty()).then(|| without(state, 0))),
        }
    }

    fn is_pure(&self, op: &PutTake) -> bool {
        *op == PutTake::Empty
    }

    fn state_bytes(&self, state: &Values) -> usize {
        bytes(state)
    }

    fn without_answer(&self, op: &PutTake) -> Option<PutTake> {
        op.without_answer()
    }

    fn value(&self, op: &PutTake) -> Option<i64> {
        op.value()
    }

    fn shortcut(&self, history: &History<PutTake>) -> Option<Shortcut> {
        fifo::queue(history)
    }

    fn describe(&self, op: &PutTake, name: &dyn Fn(i64) -> String) -> String {
        op.describe("enqueue", "dequeue", name)
    }

    fn describe_state(&self, state: &Values, name: &dyn Fn(i64) -> String) -> String {
        list(state, name)
    }
}

impl Model for Stack {
    type Op = PutTake;
    type State = Values;

    fn initial(&self) -> Values {
        Box::default()
    }

    fn step(&self, state: &Values, op: &PutTake, next: &mut Vec<Values>) {
        match *op {
            PutTake::Put(value) => next.push(with(state, state.len(), value)),
            PutTake::Take(value) => {
                if state.last() == Some(&value) {
                    next.push(without(state, state.len() - 1));
                }
            }
            PutTake::Empty => next.extend(state.is_empty().then(|| state.clone())),
            PutTake::TakeUnknown => {
                next.extend((!state.is_empty()).then(|| without(state, state.len() - 1)));
            }
        }
    }

    fn is_pure(&self, op: &PutTake) -> bool {
        *op == PutTake::Empty
    }

    fn state_bytes(&self, state: &Values) -> usize {
        bytes(state)
    }

    fn without_answer(&self, op: &PutTake) -> Option<PutTake> {
        op.without_answer()
    }

    fn value(&self, op: &PutTake) -> Option<i64> {
        op.value()
    }

    fn shortcut(&self, history: &History<PutTake>) -> Option<Shortcut> {
        lifo::stack(history)
    }

    fn describe(&self, op: &PutTake, name: &dyn Fn(i64) -> String) -> String {
        op.describe("push", "pop", name)
    }

    fn describe_state(&self, state: &Values, name: &dyn Fn(i64) -> String) -> String {
        list(state, name)
    }
}
