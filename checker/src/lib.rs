//! History in, verdict out.
//!
//! [`history`] is the record of a run; [`loss`] judges it; [`check_dir`] does so for files on disk;
//! [`summary`] has its throughput and latency, [`availability`] what each fault did to clients.
//! Checkers are pure: they read a history and observations, and do no other I/O.
#![forbid(unsafe_code)]

pub mod availability;
pub mod catalogue;
mod check;
pub mod clock;
pub mod difference;
pub mod elements;
mod error;
pub mod history;
pub mod import;
mod incomplete_beta;
pub mod invariants;
pub mod isolation;
pub mod linearizability;
pub mod loss;
pub mod rate;
pub mod summary;
pub mod verdict;
pub mod windows;

pub use check::{UNTIL_KEY, check_dir};
pub use error::CheckError;
