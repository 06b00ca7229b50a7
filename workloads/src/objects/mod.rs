//! Workloads on plain objects (registers, sets, counters, transactions), which any database can be asked for.
//!
//! An [`Invocation`] says what is wanted in the terms of the checkers' models; a [`Client`] asks a database
//! for it and says how that ended, in an [`Answer`].

mod client;

pub use client::{Answer, Client, Effect, Invocation, KnownError};
