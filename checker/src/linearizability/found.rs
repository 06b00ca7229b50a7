//! What a search can find.

use super::limits::Reason;

/// What a search found.
#[derive(Debug)]
pub(super) enum Found<S> {
    Linearizable,
    /// No order explains the history up to the return of this operation (a position).
    Stuck {
        returning: usize,
        finals: Vec<Final<S>>,
    },
    Unknown(Reason),
}

/// A configuration from which the last return cannot be passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final<S> {
    /// The state.
    pub state: S,
    /// Positions of pending operations that have taken effect.
    pub done: Vec<usize>,
    /// Positions of pending operations that have not.
    pub waiting: Vec<usize>,
    /// Positions of operations that never returned and have taken effect.
    pub used: Vec<usize>,
}

/// What a search found, and at what cost.
#[derive(Debug)]
pub(super) struct Searched<S> {
    pub(super) found: Found<S>,
    pub(super) configurations: u64,
    pub(super) bytes: usize,
}
