//! The loss checker: which acknowledged writes did not survive.
//!
//! # What a key may end as
//!
//! Each key has one writer, which numbers its writes (`put`, `delete`) 1, 2, ... An operation that
//! completed `ok` is *acknowledged*; `fail` says it never happened and never will; `info` and no
//! completion at all leave it *indeterminate*: it may take effect at any time, even after later
//! operations of the same writer (a request can sit in a queue).
//!
//! So the permitted final states of a key are
//! - what its last acknowledged write left: the version put, or nothing after a delete; nothing if no
//!   write was acknowledged. The last acknowledged write is the one invoked last; its writer waits
//!   for each answer, so that is also the order in which they took effect. A later write that is
//!   indeterminate does not change this: it may never have happened.
//! - what any indeterminate write of the key would leave, whether it was invoked before or after the
//!   last acknowledged one. (Before: delayed, it overwrites. That this is permitted costs some
//!   sharpness, but a checker must never cry wolf.)
//!
//! # What is made of an observation
//!
//! | seen | where | means |
//! |---|---|---|
//! | a permitted version | front door, owner | fine; if only an indeterminate write explains it, counted as such |
//! | an acknowledged version older than the last, which is a put | front door, owner | stale |
//! | an acknowledged version, though the last acknowledged write is a delete | front door, owner | resurrected |
//! | a version never put, or put only by operations that failed | anywhere | phantom |
//! | wrong checksum or form | front door, owner | corrupted |
//! | any other document | former owner | left behind (its content may well be old: nobody updates it) |
//! | any other document | node that never owned the shard | misplaced |
//! | any other document | node about to own the shard | fine: a copy in the making |
//! | nothing | front door | lost, unless permitted |
//! | nothing | on every owner, if there is no word from the front door | lost, unless permitted |
//! | nothing | on one owner, while the front door or another owner has it | fine: whether enough copies exist is another question |
//!
//! The front door says "nothing" if it answered so for the key, or was read to its end without
//! showing the key. With several front doors, one that has nothing is enough: a client sent there
//! finds the document gone. A document the front door does not show, while nodes still hold it, is
//! lost; [`Anomaly::found`] names the nodes. Copies on owners are judged by what is permitted, not by
//! comparison with the front door: two permitted versions side by side are no anomaly here.
//!
//! A key is in one class, the first that applies of: lost, corrupted, resurrected, stale, phantom,
//! misplaced, left behind, ok. A source that was not read to its end still counts for what it showed,
//! never for what it did not show; a key about which nothing can be said that way is *unjudged*.
//!
//! # Cost
//!
//! O(n log n) time for n operations (one sort), O(1) per observation of an expected version; 24 bytes
//! per write or read, 24 per key (up to 60 if the keys are not dense), 24 per unexpected observation.
//! `benches/loss.rs` measures it.

mod checker;
mod explanation;
mod judge;
mod keys;
mod report;
mod sightings;
mod sources;
mod tally;
mod write_log;

pub use checker::LossChecker;
pub use judge::LossJudge;
pub use report::{Anomaly, ClassCounts, KeyClass, LossReport, WindowLoss};

#[cfg(test)]
mod tests;
