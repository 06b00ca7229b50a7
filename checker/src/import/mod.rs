//! Readers of histories in any format, our own and other tools'.
//!
//! A [`Source`] is an opened file; its [`Events`] are the same whatever the [`Format`]. [`operations`] turns
//! events into the operations of a data type. Malformed input is an [`ImportError`] with its line and the
//! reason; input that is cut off is read as far as it goes, and said to be.

pub mod edn;
mod error;
mod event;
mod events;
mod format;
pub mod jepsen;
pub mod lines;
mod names;
pub mod operations;
mod pairing;
pub mod porcupine;
mod recorded;
pub(crate) mod recorded_transactions;
mod scan;
mod source;
mod text_lines;
pub mod transactions;
mod value;

pub use error::{ImportError, Problem, SourceError};
pub use event::Event;
pub use events::Events;
pub use format::Format;
pub use names::Names;
pub use pairing::Recorded;
pub use source::Source;
pub use value::Value;
