//! Reading documents and tombstones: pages of a shard or of everything, and single keys.

use std::ops::Bound;

use super::record::{Body, Record};
use super::store::{Snapshot, StoreError, redb_error};
use crate::wire::document::Document;
use crate::wire::message::{Page, Tombstone};

/// A page ends early when its documents exceed this, so that memory stays bounded.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// Which records a page holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range<'a> {
    /// One shard, or all.
    pub(crate) shard: Option<u32>,
    /// Start behind this key of the shard.
    pub(crate) after: Option<&'a str>,
    /// Skip so many documents.
    pub(crate) offset: usize,
    /// At most so many records.
    pub(crate) limit: usize,
    /// Whether tombstones are listed.
    pub(crate) tombstones: bool,
}

/// Reads a page. Takes time proportional to the limit and to what is skipped in one shard: whole shards are skipped by
/// their counts.
pub(crate) fn page(snapshot: &Snapshot, index: &str, range: Range<'_>) -> Result<Page, StoreError> {
    let mut page = Page {
        results: Vec::new(),
        offset: range.offset,
        limit: range.limit,
        total: snapshot.count(index, range.shard)?,
        seq: snapshot.seq()?,
        next: None,
        tombstones: Vec::new(),
    };
    let records = snapshot.records()?;
    let mut skip = range.offset;
    let start = match (range.shard, range.after) {
        (Some(shard), Some(after)) => Bound::Excluded((index, shard, after)),
        (Some(shard), None) => Bound::Included((index, shard, "")),
        (None, _) if range.tombstones => Bound::Included((index, 0, "")),
        (None, _) => {
            let (shard, left) = snapshot.skip_shards(index, skip)?;
            skip = left;
            Bound::Included((index, shard, ""))
        }
    };
    let end = Bound::Excluded((
        index,
        range.shard.map_or(u32::MAX, |s| s.saturating_add(1)),
        "",
    ));
    let mut bytes = 0;
    let mut last = None;
    for row in records
        .range::<(&str, u32, &str)>((start, end))
        .map_err(redb_error)?
    {
        let (key, value) = row.map_err(redb_error)?;
        let (_, shard, id) = key.value();
        let record = decode(id, value.value())?;
        if !record.is_live() && !range.tombstones {
            continue;
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        if page.results.len() + page.tombstones.len() >= range.limit || bytes > MAX_PAGE_BYTES {
            page.next = last.filter(|_| range.shard.is_some());
            break;
        }
        bytes += value.value().len();
        push(&mut page, id, shard, record)?;
        last = Some(id.to_owned());
    }
    Ok(page)
}

/// Reads single keys; unknown ones are left out.
pub(crate) fn by_ids(
    snapshot: &Snapshot,
    index: &str,
    ids: &[String],
    tombstones: bool,
) -> Result<Page, StoreError> {
    let mut page = Page {
        results: Vec::new(),
        offset: 0,
        limit: ids.len(),
        total: 0,
        seq: snapshot.seq()?,
        next: None,
        tombstones: Vec::new(),
    };
    let lookup = snapshot.lookup()?;
    for id in ids {
        let Some((shard, value)) = lookup.find(index, id)? else {
            continue;
        };
        let record = decode(id, value.value())?;
        if record.is_live() || tombstones {
            push(&mut page, id, shard, record)?;
        }
    }
    page.total = page.results.len() as u64;
    Ok(page)
}

/// Decodes a record, naming it if it is damaged.
pub(crate) fn decode<'a>(id: &str, bytes: &'a [u8]) -> Result<Record<'a>, StoreError> {
    Record::decode(bytes).ok_or_else(|| StoreError::Damaged(id.to_owned()))
}

fn push(page: &mut Page, id: &str, shard: u32, record: Record<'_>) -> Result<(), StoreError> {
    match record.body {
        Body::Live(bytes) => {
            let document: Document =
                serde_json::from_slice(bytes).map_err(|_| StoreError::Damaged(id.to_owned()))?;
            page.results.push(document);
        }
        Body::Deleted => {
            page.tombstones.push(Tombstone {
                id: id.to_owned(),
                stamp: record.stamp,
                shard: Some(shard),
            });
        }
    }
    Ok(())
}
