//! Shakedown: deploys real nodes over SSH, breaks them, and checks what survived.
//!
//! The way of the data is left to right, never back: a [`scenario`] and the command line become a
//! [`plan`]; [`run`] deploys it, drives the load and the faults, and records a history; checkers judge
//! the history; reports render the results. See `docs/architecture.md`.
#![forbid(unsafe_code)]

pub mod cli;
pub mod cluster;
pub mod control;
pub mod plan;
pub mod run;
pub mod rundir;
pub mod scenario;
pub mod size;
pub mod system;
pub mod track_record;
