//! Checkers of one promise each, most of them after Jepsen's: what is added is found again, what is
//! enqueued comes out, identifiers are unique, balances add up.
//!
//! An [`Invariant`] is fed the operations of a history, one event at a time; [`run`] feeds several in one
//! pass, [`PerKey`] runs one for every key. Each states what it costs.

mod availability;
mod bank;
mod counter;
mod errors;
mod final_set;
mod long_fork;
mod numbering;
mod pass;
mod per_key;
mod quantiles;
pub mod sessions;
pub mod set_full;
mod told;
mod total_queue;
mod unique_ids;

pub use availability::Availability;
pub use bank::Bank;
pub use counter::CounterBounds;
pub use errors::UnhandledErrors;
pub use final_set::FinalSet;
pub use long_fork::LongFork;
pub use numbering::Numbering;
pub use pass::run;
pub use per_key::PerKey;
pub use quantiles::Quantiles;
pub use sessions::Session;
pub use set_full::SetFull;
pub use total_queue::TotalQueue;
pub use unique_ids::UniqueIds;

use crate::catalogue::Outcome;
use crate::import::{Event, ImportError};

/// An event, and its place in the order of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// Its number among the events, from 0.
    pub at: u32,
    /// The event.
    pub event: Event,
}

/// A promise, checked while the history is read.
pub trait Invariant {
    /// A client calls.
    ///
    /// # Errors
    /// [`ImportError`] if that is no operation of this kind.
    fn called(&mut self, call: &Moment) -> Result<(), ImportError>;

    /// The call is answered: `ok`, `fail`, or `info` where the client gave up on it.
    ///
    /// # Errors
    /// [`ImportError`] if that is no answer to such a call.
    fn answered(&mut self, call: &Moment, answer: &Moment) -> Result<(), ImportError>;

    /// What came of it so far. Calls without answer are indeterminate.
    fn outcome(&mut self) -> Outcome;
}

/// The error of an operation that this invariant does not know.
fn unknown<T>(moment: &Moment) -> Result<T, ImportError> {
    wrong(moment, "not an operation of this type")
}

fn wrong<T>(moment: &Moment, reason: &str) -> Result<T, ImportError> {
    let Event { line, f, value, .. } = &moment.event;
    Err(ImportError::new(*line, format!("{reason}: {f} {value}")))
}
