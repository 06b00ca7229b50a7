//! The isolation checker from outside.

mod elle;
mod fixtures;
mod simulate;
