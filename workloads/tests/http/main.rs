//! Everything that speaks HTTP, against real servers on the loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod final_read;
mod scripted_server;
