//! Invariants: planted violations of each class, brute-force oracles, published histories.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod fixtures;
mod planted;
mod several;
mod written;
