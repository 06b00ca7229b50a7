//! How deletes lie in a Meilisearch: as documents of their own, since it forgets what it deletes.

use serde_json::Value;

use super::super::operations::Stamped;
use crate::wire::document::{Document, IdError, PRIMARY_KEY, SHARD, STAMP, document_id, stamp_of};
use crate::wire::message::Tombstone;

/// `true` in the place of a deleted document. It travels with copies as a tombstone, never as a document.
pub(super) const DELETED: &str = "_miroir_deleted";

/// The document that stands for a tombstone.
pub(super) fn document_of(tombstone: &Tombstone) -> Document {
    let mut document = Document::new();
    document.insert(PRIMARY_KEY.to_owned(), Value::from(tombstone.id.as_str()));
    document.insert(STAMP.to_owned(), Value::from(tombstone.stamp));
    document.insert(DELETED.to_owned(), Value::from(true));
    if let Some(shard) = tombstone.shard {
        document.insert(SHARD.to_owned(), Value::from(shard));
    }
    document
}

/// Whether a document stands for a tombstone.
pub(super) fn is_tombstone(document: &Document) -> bool {
    document.get(DELETED) == Some(&Value::Bool(true))
}

/// Tells documents from tombstones.
pub(super) fn sort_out(found: Vec<Document>) -> Result<Stamped, IdError> {
    let mut stamped = Stamped::default();
    for document in found {
        if is_tombstone(&document) {
            let shard = document.get(SHARD).and_then(Value::as_u64);
            stamped.tombstones.push(Tombstone {
                id: document_id(&document)?,
                stamp: stamp_of(&document),
                shard: shard.and_then(|s| u32::try_from(s).ok()),
            });
        } else {
            stamped.documents.push(document);
        }
    }
    Ok(stamped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tombstones_come_back_as_they_were_and_apart_from_documents() {
        let tombstone = Tombstone {
            id: "a".to_owned(),
            stamp: 7,
            shard: Some(3),
        };
        let document = json!({"id": "b", "_miroir_updated_at": 8});
        let document = document.as_object().unwrap().clone();
        let sorted = sort_out(vec![document_of(&tombstone), document.clone()]).unwrap();
        assert_eq!(sorted.tombstones, [tombstone]);
        assert_eq!(sorted.documents, [document]);
    }
}
