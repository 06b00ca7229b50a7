//! The audit log: what happened to each dual write and copied page, and what follows from it without a delta pass.

mod file;
mod predict;
mod record;

pub(crate) use file::Audit;
pub(crate) use predict::{PredictArgs, run};
pub(crate) use record::{CopiedPage, DualWrite};
