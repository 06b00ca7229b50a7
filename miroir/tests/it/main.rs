//! Miroir as its users meet it: real processes on the loopback interface, spoken to over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crash;
mod feed;
mod keys;
mod kit;
mod limits;
mod meilisearch;
mod migration;
mod node;
mod operator;
mod ordering;
mod planted;
mod prediction;
mod repair;
mod rollback;
mod runbook;
mod safety;
mod stuck;
mod topology;
mod zombie;
