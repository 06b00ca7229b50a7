//! Several registers read and written together.

use std::mem::size_of;

use crate::linearizability::model::Model;
use crate::linearizability::models::NIL;

/// Registers by key; an operation reads and writes several at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiRegister {
    /// What each key holds at first, sorted by key; the others hold [`NIL`].
    pub initial: Vec<(i64, i64)>,
}

/// A transaction on a [`MultiRegister`]: its steps in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TxnOp(pub Vec<TxnStep>);

/// A step of a [`TxnOp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxnStep {
    /// Saw, at a key, a value.
    Read(i64, i64),
    /// Wrote, at a key, a value.
    Write(i64, i64),
}

impl Model for MultiRegister {
    type Op = TxnOp;
    type State = Vec<(i64, i64)>;

    fn initial(&self) -> Self::State {
        self.initial.clone()
    }

    fn step(&self, state: &Self::State, op: &TxnOp, next: &mut Vec<Self::State>) {
        let mut state = state.clone();
        for &step in &op.0 {
            let (TxnStep::Read(key, _) | TxnStep::Write(key, _)) = step;
            let at = state.binary_search_by_key(&key, |&(key, _)| key);
            match step {
                TxnStep::Read(_, value) => {
                    if at.map_or(NIL, |at| state[at].1) != value {
                        return;
                    }
                }
                TxnStep::Write(_, value) => match at {
                    Ok(at) => state[at].1 = value,
                    Err(at) => state.insert(at, (key, value)),
                },
            }
        }
        next.push(state);
    }

    fn is_pure(&self, op: &TxnOp) -> bool {
        op.0.iter().all(|step| matches!(step, TxnStep::Read(..)))
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + size_of_val(state.as_slice())
    }

    fn without_answer(&self, op: &TxnOp) -> Option<TxnOp> {
        let writes =
            op.0.iter()
                .filter(|step| matches!(step, TxnStep::Write(..)));
        let writes: Vec<_> = writes.copied().collect();
        (!writes.is_empty()).then_some(TxnOp(writes))
    }

    fn describe(&self, op: &TxnOp, name: &dyn Fn(i64) -> String) -> String {
        let steps = op.0.iter().map(|step| match *step {
            TxnStep::Read(key, value) => format!("{} read {}", name(key), name(value)),
            TxnStep::Write(key, value) => format!("{} write {}", name(key), name(value)),
        });
        steps.collect::<Vec<_>>().join(", ")
    }

    fn describe_state(&self, state: &Self::State, name: &dyn Fn(i64) -> String) -> String {
        let keys = state
            .iter()
            .map(|&(key, value)| format!("{} = {}", name(key), name(value)));
        keys.collect::<Vec<_>>().join(", ")
    }
}
