//! Comparing a shard on two nodes, fingerprint, buckets, keys, and carrying over what the target lacks.
//!
//! Costs one scan of the shard on either node, and traffic in proportion to the buckets that differ.

use std::collections::HashMap;

use crate::peer::{Peer, PeerError, Stamped, Writer};
use crate::wire::message::{EntriesRequest, Entry};

/// Keys per request of a delta pass, which is to be over soon.
const KEYS: usize = 10_000;
/// Records carried per request.
const RECORDS: usize = 500;

/// A comparison's result.
pub(super) struct Compared {
    /// Keys that the target lacks or holds older.
    pub(super) missing: Vec<String>,
    /// Whether there are tombstones on either side.
    pub(super) tombstones: bool,
}

/// Carries to `target` what it lacks or holds older than `source`. Answers how many records that were: 0 means that
/// the target has everything.
pub(crate) async fn reconcile(
    index: &str,
    shard: u32,
    source: &Peer,
    target: &Peer,
    writer: Writer,
) -> Result<u64, PeerError> {
    let missing = missing(index, shard, source, target, KEYS).await?.missing;
    carry(index, &missing, source, target, writer).await?;
    Ok(missing.len() as u64)
}

/// Carries single records; answers how many the target had not got by itself.
pub(super) async fn carry(
    index: &str,
    ids: &[String],
    source: &Peer,
    target: &Peer,
    writer: Writer,
) -> Result<u64, PeerError> {
    let mut applied = 0;
    for ids in ids.chunks(RECORDS) {
        let page = source.by_ids(index, ids).await?;
        let records = Stamped {
            documents: page.results,
            tombstones: page.tombstones,
        };
        applied += target.carry(index, records, writer).await?;
    }
    Ok(applied)
}

/// Compares two copies; keys are listed `keys` at a time.
pub(super) async fn missing(
    index: &str,
    shard: u32,
    source: &Peer,
    target: &Peer,
    keys: usize,
) -> Result<Compared, PeerError> {
    let (ours, theirs) = tokio::join!(
        source.fingerprint(index, shard),
        target.fingerprint(index, shard)
    );
    let (ours, theirs) = (ours?, theirs?);
    let differ = ours.buckets.iter().zip(&theirs.buckets).zip(0_u16..);
    let buckets: Vec<u16> = differ
        .filter(|((a, b), _)| a != b)
        .map(|(_, n)| n)
        .collect();
    let mut compared = Compared {
        missing: Vec::new(),
        tombstones: ours.tombstones + theirs.tombstones > 0,
    };
    if buckets.is_empty() {
        return Ok(compared);
    }
    let (ours, theirs) = tokio::join!(
        list(index, shard, &buckets, source, keys),
        list(index, shard, &buckets, target, keys)
    );
    let theirs: HashMap<String, Entry> = theirs?.into_iter().map(|e| (e.id.clone(), e)).collect();
    let newer = ours?
        .into_iter()
        .filter(|e| !overlooked(e) && replaces(e, theirs.get(&e.id)));
    compared.missing = newer.map(|e| e.id).collect();
    Ok(compared)
}

/// The order that decides which record of a key counts, on every node and in every comparison: the highest stamp, at
/// equal stamps the tombstone, at equal kinds the greater hash over the content.
fn replaces(ours: &Entry, theirs: Option<&Entry>) -> bool {
    let rank = |e: &Entry| {
        let hash = u128::from_str_radix(&e.hash, 16).unwrap_or(0);
        (e.stamp, e.deleted, if e.deleted { 0 } else { hash })
    };
    theirs.is_none_or(|theirs| rank(ours) > rank(theirs))
}

#[cfg(not(feature = "planted-bugs"))]
fn overlooked(_: &Entry) -> bool {
    false
}

/// The planted bug: deletes are not carried over.
#[cfg(feature = "planted-bugs")]
fn overlooked(entry: &Entry) -> bool {
    entry.deleted && crate::planted::planted(crate::planted::Bug::RepairIgnoresTombstones)
}

async fn list(
    index: &str,
    shard: u32,
    buckets: &[u16],
    peer: &Peer,
    keys: usize,
) -> Result<Vec<Entry>, PeerError> {
    let mut request = EntriesRequest {
        shard,
        buckets: buckets.to_vec(),
        after: None,
        limit: keys,
    };
    let mut all = Vec::new();
    loop {
        let page = peer.entries(index, &request).await?;
        all.extend(page.entries);
        match page.next {
            None => return Ok(all),
            next => request.after = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(stamp: u64, deleted: bool, hash: &str) -> Entry {
        Entry {
            id: "a".to_owned(),
            stamp,
            deleted,
            hash: hash.to_owned(),
        }
    }

    #[test]
    fn of_two_records_exactly_one_replaces_the_other_whichever_side_asks() {
        let in_order = [
            entry(1, false, "ff"),
            entry(2, false, "a"),
            entry(2, false, "10"),
            entry(2, true, "1"),
            entry(3, false, "0"),
        ];
        for (i, lower) in in_order.iter().enumerate() {
            assert!(replaces(lower, None) && !replaces(lower, Some(lower)));
            for higher in &in_order[i + 1..] {
                assert!(replaces(higher, Some(lower)) && !replaces(lower, Some(higher)));
            }
        }
    }
}
