//! Nodes as the router sees them: their HTTP connections and the operations of the node API.

mod http;
mod operations;

pub(crate) use http::{HttpClient, Request};
pub(crate) use operations::{Failure, Peer, PeerError, Stamped, Writer};
