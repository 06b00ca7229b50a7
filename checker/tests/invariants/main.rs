//! Invariants: planted violations of each class, brute-force oracles, published histories.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod fixtures;
mod oracle_queues;
mod oracle_sessions;
mod oracle_sets;
mod oracle_small;
mod planted;
mod random;
mod several;
mod written;
