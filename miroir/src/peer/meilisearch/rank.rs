//! The order of records of the same key, and their hashes, as nodes of Miroir's own have them.

use super::tombstone::is_tombstone;
use crate::node::{Body, Record};
use crate::wire::document::{Document, IdError, canonical, document_id, stamp_of};

/// What comparisons need to know of a record. The greater one counts: the highest stamp, at equal stamps the
/// tombstone, at equal kinds the greater hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) stamp: u64,
    pub(super) deleted: bool,
    pub(super) hash: u128,
}

/// The key and rank of a document as it lies on the node, tombstone or not.
pub(super) fn rank(document: &Document) -> Result<(String, Rank), IdError> {
    let id = document_id(document)?;
    let stamp = stamp_of(document);
    let deleted = is_tombstone(document);
    let bytes = canonical(document.clone());
    let record = Record {
        stamp,
        expires_ms: None,
        body: if deleted {
            Body::Deleted
        } else {
            Body::Live(&bytes)
        },
    };
    let hash = record.hash(&id);
    Ok((
        id,
        Rank {
            stamp,
            deleted,
            hash,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ranked(value: Value) -> Rank {
        rank(value.as_object().unwrap()).unwrap().1
    }

    #[test]
    fn the_stamp_counts_before_the_kind_and_the_kind_before_the_content() {
        let document = ranked(json!({"id": "a", "_miroir_updated_at": 5, "x": 1}));
        let tombstone = json!({"id": "a", "_miroir_updated_at": 5, "_miroir_deleted": true});
        let later = ranked(json!({"id": "a", "_miroir_updated_at": 6}));
        assert!(ranked(tombstone.clone()) > document && later > ranked(tombstone));
    }

    #[test]
    fn the_content_counts_but_not_the_order_of_its_fields() {
        let one = ranked(json!({"id": "a", "x": 1.5}));
        assert_eq!(one, ranked(json!({"x": 1.5, "id": "a"})));
        assert_ne!(one, ranked(json!({"id": "a", "x": 1.25})));
    }
}
