//! Registers with unique values: a read names its writer, but not what came before.

mod edges;
mod explain;
mod interactions;
mod order;
mod sources;
#[cfg(test)]
mod tests;
mod visibility;
mod within;
mod zones;

pub(crate) use edges::add_edges;
pub(crate) use explain::reason;
pub(crate) use interactions::Registers;
pub(crate) use order::VersionOrder;
pub(crate) use visibility::find_views;
pub(crate) use within::find_within;
