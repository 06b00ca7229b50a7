//! Shards as hashes, for comparing two nodes without moving the documents.

use std::ops::Bound;

use super::read::decode;
use super::record::bucket;
use super::store::{Snapshot, StoreError, redb_error};
use crate::wire::message::{BUCKETS, Entries, EntriesRequest, Entry, Fingerprint};

/// Hashes every record of a shard into its bucket. Sums wrap, so the order does not matter.
pub(crate) fn fingerprint(
    snapshot: &Snapshot,
    index: &str,
    shard: u32,
) -> Result<Fingerprint, StoreError> {
    let mut buckets = vec![0_u128; BUCKETS];
    let (mut documents, mut tombstones) = (0, 0);
    let records = snapshot.records()?;
    for row in records
        .range((index, shard, "")..(index, shard.saturating_add(1), ""))
        .map_err(redb_error)?
    {
        let (key, value) = row.map_err(redb_error)?;
        let id = key.value().2;
        let record = decode(id, value.value())?;
        if record.is_live() {
            documents += 1;
        } else {
            tombstones += 1;
        }
        let sum = &mut buckets[bucket(id)];
        *sum = sum.wrapping_add(record.hash(id));
    }
    let buckets = buckets.iter().map(|b| format!("{b:x}")).collect();
    Ok(Fingerprint {
        seq: snapshot.seq()?,
        documents,
        tombstones,
        buckets,
    })
}

/// Lists the keys of some buckets of a shard.
pub(crate) fn entries(
    snapshot: &Snapshot,
    index: &str,
    request: &EntriesRequest,
) -> Result<Entries, StoreError> {
    let mut wanted = [false; BUCKETS];
    for &b in &request.buckets {
        if let Some(slot) = wanted.get_mut(usize::from(b)) {
            *slot = true;
        }
    }
    let start = match request.after.as_deref() {
        Some(after) => Bound::Excluded((index, request.shard, after)),
        None => Bound::Included((index, request.shard, "")),
    };
    let end = Bound::Excluded((index, request.shard.saturating_add(1), ""));
    let mut answer = Entries {
        entries: Vec::new(),
        next: None,
    };
    let records = snapshot.records()?;
    for row in records
        .range::<(&str, u32, &str)>((start, end))
        .map_err(redb_error)?
    {
        let (key, value) = row.map_err(redb_error)?;
        let id = key.value().2;
        if !wanted[bucket(id)] {
            continue;
        }
        if answer.entries.len() >= request.limit {
            answer.next = answer.entries.last().map(|e: &Entry| e.id.clone());
            break;
        }
        let record = decode(id, value.value())?;
        answer.entries.push(Entry {
            id: id.to_owned(),
            stamp: record.stamp,
            deleted: !record.is_live(),
            hash: format!("{:x}", record.hash(id)),
        });
    }
    Ok(answer)
}
