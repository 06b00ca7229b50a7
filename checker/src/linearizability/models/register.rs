//! A register, with or without compare-and-set.

use crate::linearizability::history::{History, OPEN};
use crate::linearizability::model::{Model, Shortcut};
use crate::linearizability::zones;

/// The value of a register that holds nothing.
pub const NIL: i64 = i64::MIN;

/// One value, read and written as a whole. Its key-value form is a [`super::super::Keyed`] history:
/// each key is a register, and a delete writes [`NIL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    /// What it holds at first.
    pub initial: i64,
}

/// An operation of a [`Register`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Saw this value.
    Read(i64),
    /// Wrote this value.
    Write(i64),
    /// Found `from` and put `to` in its place. If it never returned: does so if it finds `from`.
    Cas {
        /// Expected.
        from: i64,
        /// New.
        to: i64,
    },
    /// Compared, and did not find this value.
    NotEqual(i64),
}

impl Model for Register {
    type Op = RegisterOp;
    type State = i64;

    fn initial(&self) -> i64 {
        self.initial
    }

    fn step(&self, &state: &i64, op: &RegisterOp, next: &mut Vec<i64>) {
        next.extend(match *op {
            RegisterOp::Read(value) => (value == state).then_some(state),
            RegisterOp::Write(value) => Some(value),
            RegisterOp::Cas { from, to } => (from == state).then_some(to),
            RegisterOp::NotEqual(value) => (value != state).then_some(state),
        });
    }

    fn is_pure(&self, op: &RegisterOp) -> bool {
        match op {
            RegisterOp::Read(_) | RegisterOp::NotEqual(_) => true,
            RegisterOp::Write(_) => false,
            RegisterOp::Cas { from, to } => from == to,
        }
    }

    fn is_blind(&self, op: &RegisterOp) -> bool {
        matches!(op, RegisterOp::Write(_))
    }

    fn stands_for(&self, stronger: &RegisterOp, weaker: &RegisterOp) -> bool {
        matches!((stronger, weaker), (RegisterOp::Write(value), RegisterOp::Cas { to, .. }) if value == to)
    }

    fn without_answer(&self, op: &RegisterOp) -> Option<RegisterOp> {
        match *op {
            RegisterOp::Read(_) | RegisterOp::NotEqual(_) => None,
            op => Some(op),
        }
    }

    fn value(&self, op: &RegisterOp) -> Option<i64> {
        match *op {
            RegisterOp::Read(value) | RegisterOp::Write(value) => Some(value),
            RegisterOp::Cas { .. } | RegisterOp::NotEqual(_) => None,
        }
    }

    fn shortcut(&self, history: &History<RegisterOp>) -> Option<Shortcut> {
        zones::register(history, self.initial, OPEN)
    }

    fn shortcut_until(&self, history: &History<RegisterOp>, end: u32) -> Option<Shortcut> {
        zones::register(history, self.initial, end)
    }

    fn describe(&self, op: &RegisterOp, name: &dyn Fn(i64) -> String) -> String {
        match *op {
            RegisterOp::Read(value) => format!("read {}", name(value)),
            RegisterOp::Write(value) => format!("write {}", name(value)),
            RegisterOp::Cas { from, to } => format!("cas {} -> {}", name(from), name(to)),
            RegisterOp::NotEqual(value) => format!("cas failed, not {}", name(value)),
        }
    }

    fn describe_state(&self, &state: &i64, name: &dyn Fn(i64) -> String) -> String {
        name(state)
    }
}
