//! Unordered queues with distinct values, in O(n log n).
//!
//! Values do not hinder one another: each must be put before it is taken, and taken at most once. A take
//! that found nothing needs a moment at which no value is there for certain; at each such moment all
//! values can be elsewhere together. (The case without order of Henzinger, Sezgin and Vafeiadis,
//! "Aspect-oriented linearizability proofs", CONCUR 2013.) Takes that never returned need not have
//! happened; where they may matter ([`Lives::judge`]), this leaves the case to the search.

use super::history::History;
use super::lives::Lives;
use super::model::Shortcut;
use super::models::PutTake;

/// Decides the history, if its values are distinct.
pub(super) fn bag(history: &History<PutTake>) -> Option<Shortcut> {
    let conflict = match Lives::new(history)? {
        Err(conflict) => Some(conflict),
        Ok(lives) => lives.judge(Lives::never_empty)?,
    };
    Some(Shortcut {
        method: "certain stays",
        conflict,
    })
}
