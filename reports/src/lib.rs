//! Results in; Markdown, plots and JSON out. This crate decides nothing.
//!
//! [`results`] is the type every report is rendered from, [`results_file`] its form on disk.
//! [`markdown`], [`plot`] and [`console`] each render it one way; [`render`] puts them all into a
//! run directory.
#![forbid(unsafe_code)]

pub mod console;
mod error;
#[cfg(test)]
mod example;
pub mod loss_table;
pub mod markdown;
mod narrative;
pub mod plot;
pub mod quantity;
#[cfg(test)]
mod reference;
pub mod render;
pub mod results;
pub mod results_file;

pub use error::ReportError;
