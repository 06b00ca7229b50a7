//! The isolation checker from outside.

mod elle;
mod fixtures;
mod oracle;
mod planted;
mod simulate;
