//! Clients of databases: programs of one's own, and the kit that tests any client.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod docs;
mod exec;
mod kit;
mod liars;
mod memcached;
mod real;
mod sentinel;
