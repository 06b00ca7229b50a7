//! Readers of other tools' histories.
//!
//! Each format has a module of its own that yields [`Event`]s; [`operations`] turns events into
//! the operations of a data type. Malformed input is an [`ImportError`] with its line and the reason.

pub mod edn;
mod error;
mod event;
pub mod jepsen;
mod names;
pub mod operations;
pub mod porcupine;
mod scan;
pub mod transactions;
mod value;

pub use error::ImportError;
pub use event::Event;
pub use names::Names;
pub use value::Value;
