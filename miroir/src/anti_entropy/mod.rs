//! Anti-entropy: finds where copies of a shard differ, and repairs the older ones.

mod pass;
mod reconcile;

pub(crate) use pass::{run_pass, run_periodically};
pub(crate) use reconcile::{Tie, reconcile};
