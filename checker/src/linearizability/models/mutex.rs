//! A lock without owners.

use crate::linearizability::model::Model;

/// A lock. Whoever releases it need not have acquired it, as in Knossos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutex;

/// An operation of a [`Mutex`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MutexOp {
    /// Took the free lock.
    Acquire,
    /// Freed the taken lock.
    Release,
}

impl Model for Mutex {
    type Op = MutexOp;
    type State = bool;

    fn initial(&self) -> bool {
        false
    }

    fn step(&self, &held: &bool, op: &MutexOp, next: &mut Vec<bool>) {
        let acquires = *op == MutexOp::Acquire;
        if acquires != held {
            next.push(acquires);
        }
    }

    fn is_pure(&self, _: &MutexOp) -> bool {
        false
    }

    fn without_answer(&self, op: &MutexOp) -> Option<MutexOp> {
        Some(*op)
    }

    fn describe(&self, op: &MutexOp, _: &dyn Fn(i64) -> String) -> String {
        match op {
            MutexOp::Acquire => "acquire".to_owned(),
            MutexOp::Release => "release".to_owned(),
        }
    }

    fn describe_state(&self, &held: &bool, _: &dyn Fn(i64) -> String) -> String {
        (if held { "held" } else { "free" }).to_owned()
    }
}
