//! A counter.

use crate::linearizability::model::Model;

/// A sum, at first 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter;

/// An operation of a [`Counter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// Added this much.
    Add(i64),
    /// Saw this sum.
    Read(i64),
    /// Added the first and saw the second, the sum after it.
    AddAndGet(i64, i64),
}

impl Model for Counter {
    type Op = CounterOp;
    type State = i64;

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, &sum: &i64, op: &CounterOp, next: &mut Vec<i64>) {
        next.extend(match *op {
            CounterOp::Add(delta) => Some(sum.wrapping_add(delta)),
            CounterOp::Read(seen) => (seen == sum).then_some(sum),
            CounterOp::AddAndGet(delta, seen) => (sum.wrapping_add(delta) == seen).then_some(seen),
        });
    }

    fn is_pure(&self, op: &CounterOp) -> bool {
        matches!(
            op,
            CounterOp::Read(_) | CounterOp::Add(0) | CounterOp::AddAndGet(0, _)
        )
    }

    fn stands_for(&self, stronger: &CounterOp, weaker: &CounterOp) -> bool {
        matches!((stronger, weaker), (CounterOp::Add(a), CounterOp::AddAndGet(b, _)) if a == b)
    }

    fn without_answer(&self, op: &CounterOp) -> Option<CounterOp> {
        match *op {
            CounterOp::Add(delta) | CounterOp::AddAndGet(delta, _) => Some(CounterOp::Add(delta)),
            CounterOp::Read(_) => None,
        }
    }

    fn describe(&self, op: &CounterOp, _: &dyn Fn(i64) -> String) -> String {
        match op {
            CounterOp::Add(delta) => format!("add {delta}"),
            CounterOp::Read(seen) => format!("read {seen}"),
            CounterOp::AddAndGet(delta, seen) => format!("add {delta}, read {seen}"),
        }
    }

    fn describe_state(&self, sum: &i64, _: &dyn Fn(i64) -> String) -> String {
        sum.to_string()
    }
}
