//! The coordinator: moves shards between nodes, phase by phase, each persisted before it takes effect.

mod cleanup;
mod control;
mod copy;
mod delta;
mod drain;
mod drive;
mod patience;
mod plan;
#[cfg(feature = "planted-bugs")]
mod planted;
mod progress;
mod running;
mod sources;
mod state;
mod store;
mod topology;

pub(crate) use control::{StartRequest, abort, cutover, rollback, start};
pub(crate) use patience::Patience;
pub(crate) use running::{Coordinator, resume};
pub(crate) use state::{Intent, Migration, Phase, State};
pub(crate) use store::StateStore;
pub(crate) use topology::{GroupRequest, Removed, add_group, add_node, remove_group, remove_node};
