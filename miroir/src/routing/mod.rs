//! Where documents belong: shard of a key, owners of a shard.

mod rendezvous;

pub(crate) use rendezvous::{owners, shard_of};
