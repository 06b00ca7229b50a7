//! Lists with unique elements: every read shows the order of all appends before it.

mod edges;
mod explain;
mod observed;
mod orders;
mod updates;
mod within;

pub(super) use edges::add_edges;
pub(super) use explain::reason;
pub(super) use observed::find_observed;
pub(super) use orders::Lists;
pub(super) use within::find_within;
