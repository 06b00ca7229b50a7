//! History in, verdict out.
//!
//! [`history`] is the record of a run; [`loss`] judges it. Checkers are pure: they read a history
//! and observations, and do no other I/O.
#![forbid(unsafe_code)]

pub mod history;
mod incomplete_beta;
pub mod loss;
pub mod rate;
