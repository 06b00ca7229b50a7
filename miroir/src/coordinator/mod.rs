//! The coordinator: moves shards to a joining node, phase by phase, each persisted before it takes effect.

mod cleanup;
mod control;
mod copy;
mod delta;
mod drive;
mod patience;
#[cfg(feature = "planted-bugs")]
mod planted;
mod progress;
mod state;
mod store;

pub(crate) use control::{Coordinator, StartRequest, abort, add_node, cutover, resume, start};
pub(crate) use patience::Patience;
pub(crate) use state::{Migration, Phase, State};
pub(crate) use store::StateStore;
