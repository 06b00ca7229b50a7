//! Where documents belong: shard of a key, owners of a shard.

mod rendezvous;
mod shards_of;

pub(crate) use rendezvous::{owners, shard_of};
pub(crate) use shards_of::{ShardsOfArgs, run};
