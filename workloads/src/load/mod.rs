//! Load stages: what is asked for ([`LoadSpec`]) and the loop that does it ([`drive`]).

mod drive;
mod events;
mod pacer;
mod spec;
mod turns;

pub use drive::{LoadError, StageSummary, drive};
pub use spec::LoadSpec;
