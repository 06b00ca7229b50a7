//! The track record: bugs planted in a system, the scenarios that must catch them, and how often they did.

mod catalogue;
mod page;
mod tally;

pub use catalogue::{PlantedBug, PlantedBugs};
pub use page::render;
pub use tally::{Tally, TallyError, TrackRecord};
