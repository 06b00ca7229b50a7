//! How a record lies in the database: stamp, kind, then when the document expires, if ever, and the document.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::wire::message::BUCKETS;

const HEADER: usize = 9;
const LIVE: u8 = 0;
const DELETED: u8 = 1;
const EXPIRING: u8 = 2;

/// A stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Stamp of the last write; 0 for writes without one.
    pub(crate) stamp: u64,
    /// When the document expires (milliseconds since 1970), if ever.
    pub(crate) expires_ms: Option<u64>,
    /// The document in canonical form, or that it was deleted.
    pub(crate) body: Body<'a>,
}

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    /// A document in canonical form.
    Live(&'a [u8]),
    /// A tombstone.
    Deleted,
}

impl<'a> Record<'a> {
    /// The bytes to store.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = match self.body {
            Body::Live(document) => document.len(),
            Body::Deleted => 0,
        };
        let mut bytes = Vec::with_capacity(HEADER + 8 + length);
        bytes.extend_from_slice(&self.stamp.to_le_bytes());
        match self.body {
            Body::Live(document) => {
                match self.expires_ms {
                    None => bytes.push(LIVE),
                    Some(at_ms) => {
                        bytes.push(EXPIRING);
                        bytes.extend_from_slice(&at_ms.to_le_bytes());
                    }
                }
                bytes.extend_from_slice(document);
            }
            Body::Deleted => bytes.push(DELETED),
        }
        bytes
    }

    /// Reads stored bytes; `None` if they are not a record.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let (stamp, rest) = bytes.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (expires_ms, body) = match *kind {
            LIVE => (None, Body::Live(rest)),
            DELETED => (None, Body::Deleted),
            EXPIRING => {
                let (at_ms, rest) = rest.split_first_chunk::<8>()?;
                (Some(u64::from_le_bytes(*at_ms)), Body::Live(rest))
            }
            _ => return None,
        };
        Some(Record {
            stamp: u64::from_le_bytes(*stamp),
            expires_ms,
            body,
        })
    }

    /// Whether it is a tombstone with a stamp below `below`.
    pub(crate) fn is_due(&self, below: u64) -> bool {
        self.stamp < below && !self.is_live()
    }

    /// Whether it is a document, not a tombstone.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.body, Body::Live(_))
    }

    /// Hash over key, stamp, kind and canonical content.
    pub(crate) fn hash(&self, id: &str) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(id.as_bytes());
        hash.update(&self.stamp.to_le_bytes());
        match self.body {
            Body::Live(document) => {
                hash.update(&[LIVE]);
                hash.update(document);
            }
            Body::Deleted => hash.update(&[DELETED]),
        }
        hash.digest128()
    }
}

/// The bucket a key falls into.
pub(crate) fn bucket(id: &str) -> usize {
    // The high bits: the low ones decide the shard.
    usize::try_from(xxh3_64(id.as_bytes()) >> 56).expect("eight bits fit") % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_stored() {
        for record in [
            Record {
                stamp: u64::MAX,
                expires_ms: None,
                body: Body::Live(b"{}"),
            },
            Record {
                stamp: 4,
                expires_ms: Some(99),
                body: Body::Live(b"{}"),
            },
            Record {
                stamp: 3,
                expires_ms: None,
                body: Body::Deleted,
            },
        ] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
        assert_eq!(Record::decode(&[1, 2, 3]), None);
    }

    #[test]
    fn the_hash_sees_key_stamp_kind_and_content() {
        let live = Record {
            stamp: 1,
            expires_ms: None,
            body: Body::Live(b"{}"),
        };
        let hashes = [
            live.hash("a"),
            live.hash("b"),
            Record { stamp: 2, ..live }.hash("a"),
            Record {
                stamp: 1,
                expires_ms: None,
                body: Body::Live(b"[]"),
            }
            .hash("a"),
            Record {
                stamp: 1,
                expires_ms: None,
                body: Body::Deleted,
            }
            .hash("a"),
        ];
        for (i, a) in hashes.iter().enumerate() {
            assert!(hashes[i + 1..].iter().all(|b| a != b));
        }
    }
}
