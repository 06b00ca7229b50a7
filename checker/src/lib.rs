//! History in, verdict out.
//!
//! [`history`] is the record of a run, [`import`] reads it and those of other tools. What must hold of it is judged by
//! kind: [`loss`] of documents ([`check_dir`] for files on disk) and of [`elements`] of a set, [`linearizability`],
//! [`isolation`] of transactions, and [`invariants`], one promise each; [`catalogue`] has them all by name. A check ends
//! in a [`verdict`]; [`clock`] says how long it may take.
//!
//! What a run was like: [`summary`] has its throughput and latency by [`windows`], [`availability`] what each fault did to
//! clients. [`rate`] has shares with their intervals, [`difference`] whether two of them differ.
//!
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
