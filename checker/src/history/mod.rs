//! The record of a run: events in the order they were recorded, and what final reads saw.

mod event;
mod observation;

pub use event::{Event, EventKind, Process, WindowMark};
pub use observation::{Observation, Placement, Seen};
