//! Nodes as the router sees them: their HTTP connections, and the operations that either kind of node offers.

mod dispatch;
mod http;
mod identity;
mod meilisearch;
mod operations;

pub(crate) use dispatch::Peer;
pub(crate) use http::{HttpClient, Request};
pub(crate) use identity::Identity;
pub(crate) use operations::{Failure, PeerError, Stamped, Writer};
