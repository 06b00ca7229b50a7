//! A storage node of either kind, behind the operations the rest of the router asks for.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;

use super::identity::Identity;
use super::meilisearch::Meilisearch;
use super::operations::{MiroirNode, PeerError, Stamped, Writer};
use crate::router::{KeyLocks, NodeKind};
use crate::wire::batch::Batch;
use crate::wire::message::{
    ChangeLog, Entries, EntriesRequest, EpochAnswer, FenceRequest, Fingerprint, Page, PageRequest,
    PurgeRequest, TaskSummary, Tombstone,
};

/// A storage node.
pub(crate) struct Peer {
    /// Its name; what rendezvous hashing sees.
    pub(crate) name: String,
    address: SocketAddr,
    node: Node,
}

enum Node {
    Miroir(MiroirNode),
    Meilisearch(Meilisearch),
}

impl Peer {
    /// A node at an address; no call lasts longer than `timeout`. `locks` order what is written to the same key.
    pub(crate) fn new(
        name: String,
        address: SocketAddr,
        timeout: Duration,
        kind: NodeKind,
        key: Option<&str>,
        locks: Arc<KeyLocks>,
        identity: Arc<Identity>,
    ) -> Self {
        let node = match kind {
            NodeKind::Miroir => Node::Miroir(MiroirNode::new(
                name.clone(),
                address,
                timeout,
                key,
                identity,
            )),
            NodeKind::Meilisearch => {
                Node::Meilisearch(Meilisearch::new(name.clone(), address, timeout, key, locks))
            }
        };
        Peer {
            name,
            address,
            node,
        }
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the node itself ignores what is older than what it holds, and refuses what was sent before a fence.
    /// Without, writes to the same key must not overlap, and a write that arrives late can undo a newer one.
    pub(crate) fn keeps_order(&self) -> bool {
        matches!(self.node, Node::Miroir(_))
    }

    /// Replaces documents (POST) or merges into them (PUT). `body` is a JSON array. The caller holds the keys' locks.
    pub(crate) async fn write(
        &self,
        index: &str,
        method: Method,
        body: Bytes,
        writer: Writer,
        want_documents: bool,
    ) -> Result<TaskSummary, PeerError> {
        match &self.node {
            Node::Miroir(node) => {
                node.write(index, method, body, writer, want_documents)
                    .await
            }
            Node::Meilisearch(node) => node.write(index, method, body, want_documents).await,
        }
    }

    /// Replaces documents. The caller holds the keys' locks.
    pub(crate) async fn replace(
        &self,
        index: &str,
        batch: &Batch,
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.replace(index, batch.packed(), writer).await,
            Node::Meilisearch(node) => node.write(index, Method::POST, batch.json(), false).await,
        }
    }

    /// Deletes documents, leaving tombstones. The caller holds the keys' locks.
    pub(crate) async fn bury(
        &self,
        index: &str,
        tombstones: Vec<Tombstone>,
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.bury(index, tombstones, writer).await,
            Node::Meilisearch(node) => node.bury(index, tombstones).await,
        }
    }

    /// Removes documents without a trace: what a planted bug does in place of [`Self::bury`].
    #[cfg(feature = "planted-bugs")]
    pub(crate) async fn erase(
        &self,
        index: &str,
        tombstones: Vec<Tombstone>,
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        match &self.node {
            Node::Miroir(node) => {
                let ids: Vec<String> = tombstones.into_iter().map(|t| t.id).collect();
                node.erase(index, &ids, writer).await
            }
            Node::Meilisearch(node) => node.bury(index, tombstones).await,
        }
    }

    /// Applies documents and tombstones with the stamps they carry; whatever is older than what the node holds is
    /// ignored. Answers how many were applied. The caller must not hold the keys' locks.
    pub(crate) async fn carry(
        &self,
        index: &str,
        records: Stamped,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.carry(index, records, writer).await,
            Node::Meilisearch(node) => node.carry(index, records).await,
        }
    }

    /// Removes a shard without a trace.
    pub(crate) async fn drop_shard(
        &self,
        index: &str,
        shard: u32,
        writer: Writer,
    ) -> Result<(), PeerError> {
        match &self.node {
            Node::Miroir(node) => node.drop_shard(index, shard, writer).await,
            Node::Meilisearch(node) => node.drop_shard(index, shard).await,
        }
    }

    /// Raises fences; answers with the highest stamp the node has ever been given. A Meilisearch has no fences: when
    /// it answers, all that it had accepted before has been applied; its answer is 0.
    pub(crate) async fn fence(&self, fence: &FenceRequest) -> Result<u64, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.fence(fence).await,
            Node::Meilisearch(node) => node.settle(&fence.index).await.map(|()| 0),
        }
    }

    /// Asks which router the node takes orders from. A Meilisearch takes them from anybody: `None`.
    pub(crate) async fn epoch(&self) -> Result<Option<EpochAnswer>, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.epoch().await.map(Some),
            Node::Meilisearch(_) => Ok(None),
        }
    }

    /// Forgets tombstones that every replica holds; answers how many.
    pub(crate) async fn purge(
        &self,
        index: &str,
        request: &PurgeRequest,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.purge(index, request, writer).await,
            Node::Meilisearch(node) => node.purge(index, request).await,
        }
    }

    /// Turns expired documents into tombstones; answers how many.
    pub(crate) async fn expire(
        &self,
        index: &str,
        now_ms: u64,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.expire(index, now_ms, writer).await,
            Node::Meilisearch(node) => node.expire(index, now_ms).await,
        }
    }

    /// Reads the change log from a number on. A Meilisearch keeps none.
    pub(crate) async fn changes(&self, from: u64, limit: usize) -> Result<ChangeLog, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.changes(from, limit).await,
            Node::Meilisearch(_) => Err(PeerError::Answer {
                node: self.name.clone(),
                status: 501,
                code: "no_change_log".to_owned(),
                message: "a Meilisearch keeps no change log".to_owned(),
            }),
        }
    }

    /// Reads documents and tombstones.
    pub(crate) async fn page(&self, index: &str, request: &PageRequest) -> Result<Page, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.page(index, request).await,
            Node::Meilisearch(node) => node.page(index, request).await,
        }
    }

    /// Reads single keys, tombstones included.
    pub(crate) async fn by_ids(&self, index: &str, ids: &[String]) -> Result<Page, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.by_ids(index, ids).await,
            Node::Meilisearch(node) => node.by_ids(index, ids).await,
        }
    }

    /// Reads a shard's fingerprint.
    pub(crate) async fn fingerprint(
        &self,
        index: &str,
        shard: u32,
    ) -> Result<Fingerprint, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.fingerprint(index, shard).await,
            Node::Meilisearch(node) => node.fingerprint(index, shard).await,
        }
    }

    /// Lists keys of some buckets of a shard.
    pub(crate) async fn entries(
        &self,
        index: &str,
        request: &EntriesRequest,
    ) -> Result<Entries, PeerError> {
        match &self.node {
            Node::Miroir(node) => node.entries(index, request).await,
            Node::Meilisearch(node) => node.entries(index, request).await,
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.address)
    }
}
