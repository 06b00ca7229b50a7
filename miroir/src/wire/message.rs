//! Requests and answers of the node API that both sides must agree on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::Document;
use super::error::ApiError;

/// Request header: incarnation of the router that sends a write. Nodes refuse older ones.
pub(crate) const EPOCH_HEADER: &str = "x-miroir-epoch";
/// Request header: random number of the router's process; two processes never share an epoch at a node.
pub(crate) const INCARNATION_HEADER: &str = "x-miroir-incarnation";
/// Request header: routing term a write was admitted under. Fenced shards refuse older ones.
pub(crate) const TERM_HEADER: &str = "x-miroir-term";
/// Request header: who made a write, when it was not a client: the name of an [`Origin`].
pub(crate) const ORIGIN_HEADER: &str = "x-miroir-origin";
/// Request header: `documents` asks a write to answer with the documents as they now are.
pub(crate) const RETURN_HEADER: &str = "x-miroir-return";

/// Who made a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// A client, through the router or directly.
    Client,
    /// A migration: background copy, delta pass, clean-up.
    Copy,
    /// A repair.
    AntiEntropy,
    /// The end of a document's life as its client has set it.
    Expiry,
}

impl Origin {
    /// Its name in the header; clients send none.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Origin::Client => None,
            Origin::Copy => Some("copy"),
            Origin::AntiEntropy => Some("antientropy"),
            Origin::Expiry => Some("expiry"),
        }
    }

    /// The origin a header names; unknown names are clients'.
    pub(crate) fn of_header(name: Option<&str>) -> Self {
        match name {
            Some("copy") => Origin::Copy,
            Some("antientropy") => Origin::AntiEntropy,
            Some("expiry") => Origin::Expiry,
            _ => Origin::Client,
        }
    }
}

/// Parses a JSON body, with Meilisearch's error for malformed ones.
pub(crate) fn parse_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request("malformed_payload", format!("malformed payload: {e}")))
}

/// A Meilisearch task summary, and what Miroir adds to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TaskSummary {
    /// Number of the task, increasing.
    pub(crate) task_uid: u64,
    /// Index concerned.
    pub(crate) index_uid: String,
    /// `succeeded`: answers are sent after the durable commit.
    pub(crate) status: String,
    /// `documentAdditionOrUpdate` or `documentDeletion`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// RFC 3339.
    pub(crate) enqueued_at: String,
    /// Number of the commit that made the write durable (nodes only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    /// The highest stamp the node has ever been given (nodes only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stamp: Option<u64>,
    /// Operations ignored because the node holds something newer (nodes only).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) ignored: u64,
    /// For each operation, whether a live document was there before (nodes only, for writes of a router).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) had: Vec<bool>,
    /// For each operation, the document as it now is; `null` where it was ignored (on request only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) documents: Vec<Option<Document>>,
    /// Echo of the request's origin.
    #[serde(
        default,
        rename = "_miroir_origin",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) origin: Option<String>,
}

impl TaskSummary {
    /// A task that is done, now, of this kind; without what only nodes tell.
    pub(crate) fn succeeded(task_uid: u64, index: &str, kind: &str) -> Self {
        TaskSummary {
            task_uid,
            index_uid: index.to_owned(),
            status: "succeeded".to_owned(),
            kind: kind.to_owned(),
            enqueued_at: jiff::Timestamp::now().to_string(),
            seq: None,
            stamp: None,
            ignored: 0,
            had: Vec::new(),
            documents: Vec::new(),
            origin: None,
        }
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What to read: by filter, by ids, or everything; from an offset, or after a key of one shard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PageRequest {
    /// `_miroir_shard = N`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<String>,
    /// At most so many records; 20 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// Skip so many documents; excludes `after`.
    #[serde(default)]
    pub(crate) offset: usize,
    /// Start behind this primary key; needs a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<String>,
    /// Only these documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ids: Option<Vec<Value>>,
    /// Also list tombstones in the range; they count towards `limit`.
    #[serde(default)]
    pub(crate) tombstones: bool,
}

/// The trace of a deleted document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    /// Primary key.
    pub(crate) id: String,
    /// Stamp of the delete.
    #[serde(rename = "_miroir_updated_at")]
    pub(crate) stamp: u64,
    /// Shard; may be left out for a document the node holds.
    #[serde(
        rename = "_miroir_shard",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) shard: Option<u32>,
}

/// A page of documents, read from one snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Page {
    /// Documents by (shard, primary key).
    pub(crate) results: Vec<Document>,
    /// As asked.
    pub(crate) offset: usize,
    /// As asked.
    pub(crate) limit: usize,
    /// Live documents that match.
    pub(crate) total: u64,
    /// Last commit the snapshot contains.
    pub(crate) seq: u64,
    /// Where to go on with `after`; absent at the end, and without a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// Tombstones in the range, when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tombstones: Vec<Tombstone>,
}

/// Body of `documents/delete-batch`: a bare array of ids, or an object.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum DeleteBatch {
    /// Plain Meilisearch: removes the documents without a trace.
    Ids(Vec<Value>),
    /// With Miroir's additions.
    Detailed(DeleteBatchBody),
}

/// Body of `documents/delete-batch` with Miroir's additions.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteBatchBody {
    /// Documents to delete, with tombstones if a stamp is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ids: Vec<Value>,
    /// Stamp of the delete of `ids`.
    #[serde(
        rename = "_miroir_updated_at",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) stamp: Option<u64>,
    /// Deletes with a stamp each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tombstones: Vec<Tombstone>,
}

/// Body of `documents/delete`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteByFilter {
    /// `_miroir_shard = N`.
    pub(crate) filter: String,
    /// Leaves tombstones with this stamp; without, the shard and its tombstones are removed without a trace.
    #[serde(
        rename = "_miroir_updated_at",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) stamp: Option<u64>,
}

/// Raises what a node refuses: writes of older routers, and of older terms to some shards.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FenceRequest {
    /// Epoch of the router that asks; older ones are refused from now on.
    pub(crate) epoch: u64,
    /// Number of its process; others are refused with the same epoch. 0 if it has none.
    #[serde(default)]
    pub(crate) incarnation: u64,
    /// Number of all shards there are; 0 if that is not to be learnt.
    #[serde(default)]
    pub(crate) count: u32,
    /// Index of the shards.
    pub(crate) index: String,
    /// Shards whose writes must carry at least `term`.
    #[serde(default)]
    pub(crate) shards: Vec<u32>,
    /// The term.
    pub(crate) term: u64,
}

/// What a node answers to a fence.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Fenced {
    /// Commit that made it durable.
    pub(crate) seq: u64,
    /// The highest stamp the node has ever been given.
    pub(crate) stamp: u64,
}

/// Asks a node to forget tombstones that every replica is known to hold.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PurgeRequest {
    /// Their shard.
    pub(crate) shard: u32,
    /// Only those with a lower stamp.
    pub(crate) below: u64,
}

/// Asks a node to turn documents that have expired into tombstones.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpireRequest {
    /// By this time (milliseconds since 1970).
    pub(crate) now_ms: u64,
}

/// How many records a request has removed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Removed {
    /// So many.
    pub(crate) removed: u64,
}

/// One change of a node's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// Its number in the log, increasing.
    pub(crate) number: u64,
    /// Stamp of the write.
    pub(crate) stamp: u64,
    /// Primary key.
    pub(crate) id: String,
    /// Whether the document was deleted.
    pub(crate) deleted: bool,
    /// Who made the write.
    pub(crate) origin: Origin,
}

/// A part of a node's change log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChangeLog {
    /// Identity of the log: another one after the node's data was lost.
    pub(crate) log: u64,
    /// The lowest number still kept.
    pub(crate) first: u64,
    /// Changes in the order of the log.
    pub(crate) changes: Vec<Change>,
    /// Number to go on with.
    pub(crate) next: u64,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// Which router a node takes orders from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EpochAnswer {
    /// Lowest epoch accepted.
    pub(crate) epoch: u64,
    /// The process that registered it; 0 if unknown.
    pub(crate) incarnation: u64,
    /// Highest stamp the node has stored.
    pub(crate) stamp: u64,
}

/// Number of buckets a shard's keys are hashed into.
pub(crate) const BUCKETS: usize = 256;

/// A shard in 256 order-independent hashes over primary key, stamp and canonical content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// Last commit the snapshot contains.
    pub(crate) seq: u64,
    /// Live documents.
    pub(crate) documents: u64,
    /// Tombstones.
    pub(crate) tombstones: u64,
    /// Hexadecimal hash of each bucket.
    pub(crate) buckets: Vec<String>,
}

/// One key of a shard, for comparing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Primary key.
    pub(crate) id: String,
    /// Stamp of its last write.
    pub(crate) stamp: u64,
    /// Whether it is a tombstone.
    pub(crate) deleted: bool,
    /// Hexadecimal hash over key, stamp and canonical content.
    pub(crate) hash: String,
}

/// Keys of some buckets of a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// In order of primary key.
    pub(crate) entries: Vec<Entry>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What `_miroir/entries` is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntriesRequest {
    /// Shard to list.
    pub(crate) shard: u32,
    /// Buckets to list.
    pub(crate) buckets: Vec<u16>,
    /// Start behind this primary key.
    #[serde(default)]
    pub(crate) after: Option<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// The shard a filter asks for. The only form understood is `_miroir_shard = N`.
pub(crate) fn parse_filter(filter: &str) -> Result<u32, ApiError> {
    filter
        .split_once('=')
        .filter(|(field, _)| field.trim() == super::document::SHARD)
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| {
            ApiError::bad_request(
                "invalid_document_filter",
                format!("filter `{filter}` is not understood: `_miroir_shard = N` is expected"),
            )
        })
}

/// The filter that selects a shard.
pub(crate) fn shard_filter(shard: u32) -> String {
    format!("{} = {shard}", super::document::SHARD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shard_filters_are_understood() {
        assert_eq!(parse_filter("_miroir_shard=3").unwrap(), 3);
        assert_eq!(parse_filter(&shard_filter(63)).unwrap(), 63);
        for bad in [
            "",
            "genre = 3",
            "_miroir_shard = x",
            "_miroir_shard > 3",
            "_miroir_shard = -1",
        ] {
            assert_eq!(
                parse_filter(bad).unwrap_err().code,
                "invalid_document_filter",
                "{bad}"
            );
        }
    }
}
