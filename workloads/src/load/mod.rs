//! Load stages of documents: what is asked for ([`LoadSpec`]) and its execution ([`drive`]); and the run loop, which is
//! the same for every workload.

mod drive;
mod events;
mod pace;
mod pacer;
mod run;
mod spec;
mod turns;

pub use drive::drive;
pub(crate) use pace::Pace;
pub(crate) use run::{Actor, Exchange, run};
pub use run::{LoadError, StageSummary};
pub use spec::LoadSpec;
