//! Results in; Markdown, plots and JSON out. This crate decides nothing.
#![forbid(unsafe_code)]

pub mod results;
