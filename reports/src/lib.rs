//! Results in; Markdown, HTML, plots, JUnit and tables out. This crate decides nothing.
//!
//! [`results`] is the type every report is rendered from, [`results_file`] its form on disk.
//! [`markdown`], [`html`], [`plot`], [`junit`], [`loss_table`], [`release_notes`] and [`console`] each render it
//! one way; [`render`] puts them all into a run directory. [`compare`] sets two runs side by side.
//! [`outcome`] shows what came of checking a single history.
#![forbid(unsafe_code)]

mod claims;
pub mod compare;
pub mod console;
mod drawing;
mod error;
mod escape;
#[cfg(test)]
mod example;
mod facts;
mod glance;
pub mod html;
pub mod junit;
pub mod loss_table;
pub mod markdown;
mod model_results;
mod narrative;
pub mod outcome;
pub mod picture;
pub mod plot;
mod pool;
pub mod quantity;
#[cfg(test)]
mod reference;
pub mod release_notes;
pub mod render;
pub mod results;
pub mod results_file;
mod template;

pub use claims::Judgement;
pub use error::ReportError;
