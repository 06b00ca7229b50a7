//! Faults: what exists, how a cluster-level fault becomes orders to single nodes, and the agent that
//! carries them out on a node and undoes them.
//!
//! This crate knows nothing of SSH: the agent reads length-delimited JSON on standard input and
//! answers on standard output, whoever holds the other end.
#![deny(unsafe_code)]

pub mod agent;
pub mod effects;
pub mod fault;
pub mod frame;
pub mod outcome;
pub mod plan;
pub mod ports;
pub mod protocol;
pub mod split;
