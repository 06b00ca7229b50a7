//! Comparing a shard on two nodes, fingerprint, buckets, keys, and carrying over what the target lacks.
//!
//! Costs one scan of the shard on either node, and traffic in proportion to the buckets that differ.

use std::collections::HashMap;

use crate::peer::{Peer, PeerError, Stamped, Writer};
use crate::wire::message::{EntriesRequest, Entry};

/// Keys per request.
const KEYS: usize = 10_000;
/// Records carried per request.
const RECORDS: usize = 500;

/// Whose content counts when both hold the same stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// The source's.
    Source,
    /// The one with the greater hash: the same choice whichever is the source.
    GreaterHash,
}

/// Carries to `target` what it lacks or holds older than `source`. Answers how many records that were: 0 means that
/// the target has everything.
pub(crate) async fn reconcile(
    index: &str,
    shard: u32,
    source: &Peer,
    target: &Peer,
    writer: Writer,
    tie: Tie,
) -> Result<u64, PeerError> {
    let missing = missing(index, shard, source, target, tie).await?;
    for ids in missing.chunks(RECORDS) {
        let page = source.by_ids(index, ids).await?;
        target
            .carry(
                index,
                Stamped {
                    documents: page.results,
                    tombstones: page.tombstones,
                },
                writer,
            )
            .await?;
    }
    Ok(missing.len() as u64)
}

/// Keys that `target` lacks or holds older than `source`.
pub(crate) async fn missing(
    index: &str,
    shard: u32,
    source: &Peer,
    target: &Peer,
    tie: Tie,
) -> Result<Vec<String>, PeerError> {
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
    if buckets.is_empty() {
        return Ok(Vec::new());
    }
    let (ours, theirs) = tokio::join!(
        list(index, shard, &buckets, source),
        list(index, shard, &buckets, target)
    );
    let theirs: HashMap<String, Entry> = theirs?.into_iter().map(|e| (e.id.clone(), e)).collect();
    let newer = ours?
        .into_iter()
        .filter(|e| replaces(e, theirs.get(&e.id), tie));
    Ok(newer.map(|e| e.id).collect())
}

fn replaces(ours: &Entry, theirs: Option<&Entry>, tie: Tie) -> bool {
    let Some(theirs) = theirs else { return true };
    if ours.stamp != theirs.stamp {
        return ours.stamp > theirs.stamp;
    }
    match tie {
        Tie::Source => ours.hash != theirs.hash,
        Tie::GreaterHash => ours.hash > theirs.hash,
    }
}

async fn list(
    index: &str,
    shard: u32,
    buckets: &[u16],
    peer: &Peer,
) -> Result<Vec<Entry>, PeerError> {
    let mut request = EntriesRequest {
        shard,
        buckets: buckets.to_vec(),
        after: None,
        limit: KEYS,
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

    fn entry(stamp: u64, hash: &str) -> Entry {
        Entry {
            id: "a".to_owned(),
            stamp,
            deleted: false,
            hash: hash.to_owned(),
        }
    }

    #[test]
    fn the_highest_stamp_wins_and_ties_are_decided_the_same_way_from_both_sides() {
        assert!(replaces(&entry(1, "a"), None, Tie::GreaterHash));
        assert!(replaces(
            &entry(2, "a"),
            Some(&entry(1, "b")),
            Tie::GreaterHash
        ));
        assert!(!replaces(&entry(1, "b"), Some(&entry(2, "a")), Tie::Source));
        let (a, b) = (entry(1, "a"), entry(1, "b"));
        assert!(replaces(&a, Some(&b), Tie::Source) && replaces(&b, Some(&a), Tie::Source));
        assert!(
            !replaces(&a, Some(&b), Tie::GreaterHash) && replaces(&b, Some(&a), Tie::GreaterHash)
        );
        assert!(!replaces(&a, Some(&a), Tie::Source));
    }
}
