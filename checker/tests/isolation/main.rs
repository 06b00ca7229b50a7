//! The isolation checker from outside.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod elle;
mod fixtures;
mod linearizable_keys;
mod oracle;
mod planted;
#[path = "../published/mod.rs"]
mod published;
mod simulate;
mod views;
