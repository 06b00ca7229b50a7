//! Faults: what exists, how a cluster-level fault becomes orders to single nodes, and the agent that
//! carries them out on a node and undoes them.
//!
//! A [`fault::Fault`] is what a scenario asks for; [`plan`] compiles it to a [`fault::NodeFault`] per node, which the
//! [`agent`] is told by the [`protocol`], in [`frame`]s. It answers with an [`outcome`]: whether the fault happened, and
//! what shows it. [`effects`], [`ports`] and [`split`] are what faults are made of.
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
