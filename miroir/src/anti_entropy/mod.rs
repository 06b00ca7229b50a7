//! Anti-entropy: finds where copies of a shard differ, and repairs the older ones. Also ends the life of documents that
//! expire and of tombstones that all copies hold.

mod copies;
mod expiry;
mod journal;
mod pass;
mod reconcile;
mod routes;
mod schedule;

pub(crate) use expiry::sweep_expired;
pub(crate) use journal::Journal;
pub(crate) use reconcile::reconcile;
pub(crate) use routes::routes;
pub(crate) use schedule::{check_schedule, run_by_schedule};
