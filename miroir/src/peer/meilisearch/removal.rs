//! What leaves a Meilisearch: whole shards, tombstones nobody needs any more, and documents that have expired.

use serde_json::Value;

use super::super::operations::PeerError;
use super::api::Fetch;
use super::tombstone::{DELETED, document_of};
use super::{LOCKED, Meilisearch, ids_of, tasks};
use crate::wire::document::{
    Document, EXPIRES, PRIMARY_KEY, SHARD, STAMP, document_id, is_expired, stamp_of,
};
use crate::wire::message::{PurgeRequest, Tombstone, shard_filter};

/// Documents ended per request to do so.
const EXPIRED: usize = 5000;

impl Meilisearch {
    /// Removes a shard without a trace.
    pub(in crate::peer) async fn drop_shard(
        &self,
        index: &str,
        shard: u32,
    ) -> Result<(), PeerError> {
        self.delete(index, &shard_filter(shard)).await.map(drop)
    }

    /// Forgets tombstones; answers how many.
    pub(in crate::peer) async fn purge(
        &self,
        index: &str,
        request: &PurgeRequest,
    ) -> Result<u64, PeerError> {
        let below = request.below;
        let shard = shard_filter(request.shard);
        self.delete(
            index,
            &format!("{shard} AND {DELETED} = true AND {STAMP} < {below}"),
        )
        .await
    }

    /// Turns expired documents into tombstones with the same stamp; answers how many.
    pub(in crate::peer) async fn expire(&self, index: &str, now_ms: u64) -> Result<u64, PeerError> {
        self.ready(index).await?;
        let request = Fetch {
            filter: Some(format!("{EXPIRES} <= {now_ms}")),
            fields: Some(&[PRIMARY_KEY]),
            limit: EXPIRED,
            ..Fetch::default()
        };
        let due = self.checked(self.api.fetch(index, &request).await)?;
        let mut expired = 0;
        for ids in ids_of(&due.results).chunks(LOCKED) {
            let _locks = self.locks.lock(ids.iter().map(String::as_str)).await;
            self.settle(index).await?;
            let found = self.documents(index, ids).await?;
            let dead = found.iter().filter(|d| is_expired(d, now_ms));
            let tombstones: Vec<Document> = dead
                .filter_map(|d| {
                    let shard = d.get(SHARD).and_then(Value::as_u64);
                    Some(document_of(&Tombstone {
                        id: document_id(d).ok()?,
                        stamp: stamp_of(d),
                        shard: shard.and_then(|s| u32::try_from(s).ok()),
                    }))
                })
                .collect();
            if !tombstones.is_empty() {
                self.store(index, &tombstones).await?;
            }
            expired += tombstones.len() as u64;
        }
        Ok(expired)
    }

    async fn delete(&self, index: &str, filter: &str) -> Result<u64, PeerError> {
        self.ready(index).await?;
        let deadline = self.api.deadline();
        let task = self.checked(self.api.delete_by_filter(index, filter, deadline).await)?;
        let task = self.checked(tasks::succeed(&self.api, task, deadline).await)?;
        Ok(task
            .details
            .unwrap_or_default()
            .deleted_documents
            .unwrap_or(0))
    }
}
