//! What the tests share: processes, a cluster of them, a load with known results, a proxy that resets, a Meilisearch.

pub(crate) mod cluster;
pub(crate) mod load;
pub(crate) mod meilisearch;
pub(crate) mod process;
pub(crate) mod proxy;
