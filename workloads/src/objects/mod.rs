//! Workloads on plain objects (registers, sets, counters, transactions), which any database can be asked for.
//!
//! An [`Invocation`] says what is wanted in the terms of the checkers' models; a [`Client`] asks a database
//! for it and says how that ended, in an [`Answer`]. A [`Spec`] says what a run is about, [`Objects`] is what its
//! processes share, [`drive`] carries out one load and [`Objects::final_reads`] ends it.

mod actor;
mod answers;
mod client;
pub mod clients;
mod drive;
mod final_reads;
mod generator;
pub mod kit;
mod load;
mod rows;
mod shared;
mod spec;

pub use client::{Answer, Client, Effect, Invocation, KnownError};
pub use drive::drive;
pub use final_reads::FinalReads;
pub use generator::SLOTS;
pub use load::{MixError, ObjectLoad};
pub use shared::{Defects, Objects, ProcessesError};
pub use spec::{Spec, SpecError};
