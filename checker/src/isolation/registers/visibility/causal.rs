//! Causal views: whoever reads a write sees all that its transaction had seen.
//!
//! What is seen is looked at by key or by session, whichever takes less: there may be many of the one
//! and few of the other.

use super::super::interactions::Registers;
use super::constraints::Constraints;
use super::{keys, sessions};

/// What is looked at at most: some ten seconds.
const MOST: u64 = 2_000_000_000;

/// Adds the constraints of causal views. Returns false, and adds none, if that takes too long.
pub(super) fn add(registers: &Registers<'_>, constraints: &mut Constraints) -> bool {
    let by_key = keys::Plan::new(registers, constraints);
    let by_session = sessions::Plan::new(registers, constraints);
    if by_key.cost.min(by_session.cost) > MOST {
        return false;
    }
    if by_key.cost <= by_session.cost {
        by_key.add(registers, constraints);
    } else {
        by_session.add(registers, constraints);
    }
    true
}
