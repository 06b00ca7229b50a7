//! Shakedown: deploys real nodes over SSH, breaks them, and checks what survived.
//!
//! The way of the data is left to right, never back: a [`scenario`], a [`system`] file and the command line ([`cli`])
//! become a [`plan`]; [`run`] deploys it, drives the load and the faults, and records a history; checkers judge
//! the history; reports render the results into a [`rundir`]. Nodes are reached by [`control`], over SSH, also those of a
//! local [`cluster`]. [`track_record`] says how often planted bugs are caught. See `docs/architecture.md`.
#![forbid(unsafe_code)]

pub mod cli;
pub mod cluster;
pub mod control;
pub mod fault_catalogue;
pub mod plan;
pub mod run;
pub mod rundir;
pub mod scenario;
pub mod size;
pub mod system;
pub mod track_record;
