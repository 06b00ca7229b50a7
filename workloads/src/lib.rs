//! What clients do: generators, load shapes and protocol clients.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod operation;
