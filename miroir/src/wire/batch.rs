//! The stamped documents of a client's write: as JSON, and packed for Miroir's own nodes, which need not parse them.

use std::sync::OnceLock;

use axum::body::Bytes;

use super::canonical::Canonical;
use super::pack::{Unpack, put_bytes, put_option, put_u32, put_u64};

/// One document, stamped.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) id: String,
    pub(crate) shard: u32,
    pub(crate) stamp: u64,
    /// Empty for deletes.
    pub(crate) document: Canonical,
}

/// The documents of a write that go to the same nodes.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Stamped>,
    json: OnceLock<Bytes>,
    packed: OnceLock<Bytes>,
}

/// A document as it is packed.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) id: String,
    pub(crate) shard: u32,
    pub(crate) stamp: u64,
    pub(crate) expires_ms: Option<u64>,
    /// The document in canonical form, with shard and stamp.
    pub(crate) bytes: Bytes,
}

impl Batch {
    /// Of these documents.
    pub(crate) fn new(items: Vec<Stamped>) -> Self {
        Batch {
            items,
            json: OnceLock::new(),
            packed: OnceLock::new(),
        }
    }

    /// A JSON array of the documents; made once.
    pub(crate) fn json(&self) -> Bytes {
        let make = || {
            let mut out = vec![b'['];
            for item in &self.items {
                if out.len() > 1 {
                    out.push(b',');
                }
                item.document.put(&mut out, item.shard, item.stamp);
            }
            out.push(b']');
            Bytes::from(out)
        };
        self.json.get_or_init(make).clone()
    }

    /// For each document its key, shard, stamp, when it expires, and its canonical form; made once.
    pub(crate) fn packed(&self) -> Bytes {
        let make = || {
            let mut out = Vec::new();
            let mut document = Vec::new();
            for item in &self.items {
                put_bytes(&mut out, item.id.as_bytes());
                put_u32(&mut out, item.shard);
                put_u64(&mut out, item.stamp);
                put_option(&mut out, item.document.expires_ms);
                document.clear();
                item.document.put(&mut document, item.shard, item.stamp);
                put_bytes(&mut out, &document);
            }
            Bytes::from(out)
        };
        self.packed.get_or_init(make).clone()
    }
}

/// Reads packed documents; `None` if they make no sense.
pub(crate) fn unpack(bytes: Bytes) -> Option<Vec<Packed>> {
    let mut from = Unpack::new(bytes);
    let mut documents = Vec::new();
    while !from.is_empty() {
        documents.push(Packed {
            id: from.text()?,
            shard: from.u32()?,
            stamp: from.u64()?,
            expires_ms: from.option()?,
            bytes: from.bytes()?,
        });
    }
    Some(documents)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::document::{Document, canonical, expires_of};

    #[test]
    fn packed_documents_are_the_stamped_ones_and_so_are_those_in_json() {
        let item = |n: u32| Stamped {
            id: format!("d{n}"),
            shard: n,
            stamp: u64::from(n) + 100,
            document: Document::from_iter([
                ("id".to_owned(), json!(format!("d{n}"))),
                ("_miroir_expires_at".to_owned(), json!(n)),
            ])
            .into(),
        };
        let batch = Batch::new((0..3).map(item).collect());
        let parsed: Vec<Document> = serde_json::from_slice(&batch.json()).unwrap();
        let packed = unpack(batch.packed()).unwrap();
        assert_eq!((parsed.len(), packed.len()), (3, 3));
        for (document, packed) in parsed.into_iter().zip(packed) {
            assert_eq!(document["_miroir_shard"], packed.shard);
            assert_eq!(document["_miroir_updated_at"], packed.stamp);
            assert_eq!(document["id"], packed.id.as_str());
            assert_eq!(expires_of(&document), packed.expires_ms);
            assert_eq!(canonical(document), packed.bytes);
        }
        let cut = batch.packed();
        assert!(unpack(cut.slice(..cut.len() - 1)).is_none());
    }
}
