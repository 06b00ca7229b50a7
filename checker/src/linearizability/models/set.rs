//! A set.

use std::mem::size_of;

use crate::linearizability::elements;
use crate::linearizability::history::History;
use crate::linearizability::model::{Model, Shortcut};

/// A set of values, at first empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set;

/// An operation of a [`Set`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// Added a value; `new`: whether it answered that the value had not been there, if it answered so.
    Add {
        /// The value.
        value: i64,
        /// What it answered.
        new: Option<bool>,
    },
    /// Removed a value; `found`: whether it answered that the value had been there, if it answered so.
    Remove {
        /// The value.
        value: i64,
        /// What it answered.
        found: Option<bool>,
    },
    /// Asked for a value.
    Contains {
        /// The value.
        value: i64,
        /// What it answered.
        found: bool,
    },
    /// Saw the whole set: its values, sorted, each once.
    ReadAll(Box<[i64]>),
}

impl SetOp {
    /// The one value an operation is about; `None` for the whole set.
    pub fn value(&self) -> Option<i64> {
        match *self {
            SetOp::Add { value, .. }
            | SetOp::Remove { value, .. }
            | SetOp::Contains { value, .. } => Some(value),
            SetOp::ReadAll(_) => None,
        }
    }
}

impl Model for Set {
    type Op = SetOp;
    type State = Box<[i64]>;

    fn initial(&self) -> Self::State {
        Box::default()
    }

    fn step(&self, state: &Self::State, op: &SetOp, next: &mut Vec<Self::State>) {
        match op {
            SetOp::Add { value, new } => match state.binary_search(value) {
                Ok(_) if *new != Some(true) => next.push(state.clone()),
                Err(at) if *new != Some(false) => {
                    let mut grown = state.to_vec();
                    grown.insert(at, *value);
                    next.push(grown.into_boxed_slice());
                }
                _ => {}
            },
            SetOp::Remove { value, found } => match state.binary_search(value) {
                Ok(at) if *found != Some(false) => {
                    let mut shrunk = state.to_vec();
                    shrunk.remove(at);
                    next.push(shrunk.into_boxed_slice());
                }
                Err(_) if *found != Some(true) => next.push(state.clone()),
                _ => {}
            },
            SetOp::Contains { value, found } => {
                if state.binary_search(value).is_ok() == *found {
                    next.push(state.clone());
                }
            }
            SetOp::ReadAll(seen) => {
                if seen == state {
                    next.push(state.clone());
                }
            }
        }
    }

    fn is_pure(&self, op: &SetOp) -> bool {
        matches!(
            op,
            SetOp::Contains { .. }
                | SetOp::ReadAll(_)
                | SetOp::Add {
                    new: Some(false),
                    ..
                }
                | SetOp::Remove {
                    found: Some(false),
                    ..
                }
        )
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + size_of_val::<[i64]>(state)
    }

    fn without_answer(&self, op: &SetOp) -> Option<SetOp> {
        match *op {
            SetOp::Add { value, .. } => Some(SetOp::Add { value, new: None }),
            SetOp::Remove { value, .. } => Some(SetOp::Remove { value, found: None }),
            SetOp::Contains { .. } | SetOp::ReadAll(_) => None,
        }
    }

    fn part(&self, op: &SetOp) -> Option<i64> {
        op.value()
    }

    fn shortcut(&self, history: &History<SetOp>) -> Option<Shortcut> {
        elements::set(history)
    }

    fn describe(&self, op: &SetOp, name: &dyn Fn(i64) -> String) -> String {
        let answer = |yes: Option<bool>, words: [&str; 2]| match yes {
            None => String::new(),
            Some(yes) => format!(" ({})", words[usize::from(yes)]),
        };
        match op {
            SetOp::Add { value, new } => {
                format!("add {}{}", name(*value), answer(*new, ["was there", "new"]))
            }
            SetOp::Remove { value, found } => format!(
                "remove {}{}",
                name(*value),
                answer(*found, ["not there", "was there"])
            ),
            SetOp::Contains { value, found } => format!(
                "contains {}{}",
                name(*value),
                answer(Some(*found), ["no", "yes"])
            ),
            SetOp::ReadAll(seen) => format!("read {}", list(seen, name)),
        }
    }

    fn describe_state(&self, state: &Self::State, name: &dyn Fn(i64) -> String) -> String {
        list(state, name)
    }
}

fn list(values: &[i64], name: &dyn Fn(i64) -> String) -> String {
    let values: Vec<_> = values.iter().map(|&value| name(value)).collect();
    format!("{{{}}}", values.join(" "))
}
