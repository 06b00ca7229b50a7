//! Shards of a Meilisearch in order of primary key, as pages, fingerprints and entries. It lists documents in an order
//! of its own that changes with writes, so the keys are listed in one request, one snapshot, and the documents read
//! by them. Each call costs one listing of the shard's keys; memory in proportion to them.

use super::super::operations::PeerError;
use super::api::Fetch;
use super::tombstone::{DELETED, is_tombstone};
use super::{Meilisearch, READ};
use crate::node::bucket;
use crate::wire::document::{Document, PRIMARY_KEY, document_id};
use crate::wire::message::{
    BUCKETS, Entries, EntriesRequest, Entry, Fingerprint, Page, PageRequest, parse_filter,
    shard_filter,
};

/// More keys than this in one shard cannot be listed.
const LISTED: usize = 10_000_000;

/// A key of a shard.
struct Key {
    id: String,
    live: bool,
}

impl Meilisearch {
    /// Reads documents and tombstones.
    pub(in crate::peer) async fn page(
        &self,
        index: &str,
        request: &PageRequest,
    ) -> Result<Page, PeerError> {
        if let Some(ids) = &request.ids {
            let ids: Vec<String> = ids
                .iter()
                .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
                .collect();
            return self.by_ids(index, &ids).await;
        }
        let filter = request.filter.as_deref().unwrap_or_default();
        let shard = parse_filter(filter).map_err(|e| self.api.broken(e.message))?;
        let keys = self.keys(index, shard).await?;
        let total = keys.iter().filter(|k| k.live).count() as u64;
        let limit = request.limit.unwrap_or(20);
        let mut rest = keys
            .into_iter()
            .filter(|k| k.live || request.tombstones)
            .filter(|k| request.after.as_ref().is_none_or(|after| k.id > *after))
            .skip(request.offset)
            .map(|k| k.id);
        let ids: Vec<String> = rest.by_ref().take(limit).collect();
        let next = ids.last().filter(|_| rest.next().is_some()).cloned();
        let mut page = self.by_ids(index, &ids).await?;
        // A document deleted between the two reads would be listed as what it has become.
        if !request.tombstones {
            page.tombstones.clear();
        }
        Ok(Page {
            offset: request.offset,
            limit,
            total,
            next,
            ..page
        })
    }

    /// Hashes every record of a shard into its bucket.
    pub(in crate::peer) async fn fingerprint(
        &self,
        index: &str,
        shard: u32,
    ) -> Result<Fingerprint, PeerError> {
        let keys = self.keys(index, shard).await?;
        let ids: Vec<String> = keys.into_iter().map(|k| k.id).collect();
        let mut sums = vec![0_u128; BUCKETS];
        let (mut documents, mut tombstones) = (0, 0);
        for chunk in ids.chunks(READ) {
            for document in self.documents(index, chunk).await? {
                let (id, rank) = self.ranked(&document)?;
                tombstones += u64::from(rank.deleted);
                documents += u64::from(!rank.deleted);
                let sum = &mut sums[bucket(&id)];
                *sum = sum.wrapping_add(rank.hash);
            }
        }
        Ok(Fingerprint {
            seq: 0,
            documents,
            tombstones,
            buckets: sums.iter().map(|b| format!("{b:x}")).collect(),
        })
    }

    /// Lists the keys of some buckets of a shard.
    pub(in crate::peer) async fn entries(
        &self,
        index: &str,
        request: &EntriesRequest,
    ) -> Result<Entries, PeerError> {
        let keys = self.keys(index, request.shard).await?;
        let wanted = |id: &str| {
            request
                .buckets
                .iter()
                .any(|&b| usize::from(b) == bucket(id))
                && request.after.as_deref().is_none_or(|after| id > after)
        };
        let mut rest = keys.into_iter().map(|k| k.id).filter(|id| wanted(id));
        let ids: Vec<String> = rest.by_ref().take(request.limit).collect();
        let next = ids.last().filter(|_| rest.next().is_some()).cloned();
        let mut entries = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(READ) {
            for document in self.documents(index, chunk).await? {
                let (id, rank) = self.ranked(&document)?;
                entries.push(Entry {
                    id,
                    stamp: rank.stamp,
                    deleted: rank.deleted,
                    hash: format!("{:x}", rank.hash),
                });
            }
        }
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Entries { entries, next })
    }

    /// All keys of a shard, in order.
    async fn keys(&self, index: &str, shard: u32) -> Result<Vec<Key>, PeerError> {
        self.ready(index).await?;
        let request = Fetch {
            filter: Some(shard_filter(shard)),
            fields: Some(&[PRIMARY_KEY, DELETED]),
            limit: LISTED,
            ..Fetch::default()
        };
        let listed = self.checked(self.api.fetch(index, &request).await)?;
        if listed.total > listed.results.len() as u64 {
            return Err(self.api.broken(format!(
                "shard {shard} has {} keys: more than {LISTED} cannot be listed",
                listed.total
            )));
        }
        let key = |d: &Document| {
            Ok(Key {
                id: document_id(d).map_err(|e| self.api.broken(e.to_string()))?,
                live: !is_tombstone(d),
            })
        };
        let mut keys = listed
            .results
            .iter()
            .map(key)
            .collect::<Result<Vec<_>, _>>()?;
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(keys)
    }
}
