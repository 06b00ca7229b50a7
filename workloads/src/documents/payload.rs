//! What a document of this workload looks like, and whether one read back still does.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::operation::Write;

/// Digits of a key in a document's id; longer keys have more.
const ID_DIGITS: usize = 11;

/// Length of a document's payload, bytes, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct PayloadRange {
    least: u32,
    most: u32,
}

/// The shortest payload is meant to be longer than the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a payload range [least, most] in bytes with least <= most <= 16777216, not [{least}, {most}]"
)]
pub struct InvalidPayloadRange {
    least: u32,
    most: u32,
}

/// Makes and verifies the documents of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Documents {
    seed: u64,
    payload: PayloadRange,
}

/// Why a document read back is none of this run's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its id is not one this workload gives.
    #[error("foreign id {id:?}")]
    Foreign {
        /// The id as found, as JSON if it is not text.
        id: String,
    },
    /// Its form or checksum is wrong.
    #[error("{detail}")]
    Corrupt {
        /// The key in its id.
        key: i64,
        /// What is wrong.
        detail: &'static str,
    },
}

/// A document as sent.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    id: String,
    version: i64,
    payload: String,
    sum: String,
}

impl PayloadRange {
    /// From `least` to `most` bytes.
    ///
    /// # Errors
    /// If `least > most`, or `most` is above 16 MiB.
    pub fn new(least: u32, most: u32) -> Result<Self, InvalidPayloadRange> {
        if least > most || most > 16 << 20 {
            return Err(InvalidPayloadRange { least, most });
        }
        Ok(PayloadRange { least, most })
    }
}

impl Default for PayloadRange {
    /// 64 to 256 bytes.
    fn default() -> Self {
        PayloadRange {
            least: 64,
            most: 256,
        }
    }
}

impl TryFrom<(u32, u32)> for PayloadRange {
    type Error = InvalidPayloadRange;

    fn try_from((least, most): (u32, u32)) -> Result<Self, InvalidPayloadRange> {
        PayloadRange::new(least, most)
    }
}

impl From<PayloadRange> for (u32, u32) {
    fn from(range: PayloadRange) -> (u32, u32) {
        (range.least, range.most)
    }
}

/// The id of a key's document: `d` and the key in at least eleven digits.
pub fn document_id(key: i64) -> String {
    format!("d{key:0ID_DIGITS$}")
}

/// The key of a document's id; `None` if [`document_id`] never gives that id.
pub fn parse_document_id(id: &str) -> Option<i64> {
    let digits = id.strip_prefix('d')?;
    let canonical =
        digits.len() == ID_DIGITS || digits.len() > ID_DIGITS && !digits.starts_with('0');
    if !canonical || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl Documents {
    /// The documents of the run with this seed. The seed is part of every checksum, so another
    /// run's documents do not pass for this one's.
    pub fn new(seed: u64, payload: PayloadRange) -> Self {
        Documents { seed, payload }
    }

    /// The document a write puts, as JSON:
    /// `{"id":"d00000000042","version":3,"payload":"...","sum":"<16 hex digits>"}`.
    pub fn document(&self, write: Write) -> Value {
        serde_json::to_value(self.build(write)).expect("strings and integers are JSON")
    }

    pub(super) fn build(&self, write: Write) -> Document {
        let id = document_id(write.key);
        let payload = self.payload(write);
        Document {
            sum: self.sum(&id, write.version, &payload),
            version: write.version,
            id,
            payload,
        }
    }

    /// Checks form and checksum, and returns key and version. Fields of other names are the
    /// system's own and ignored.
    ///
    /// # Errors
    /// If the document is not one of this run, as it was written.
    pub fn verify(&self, document: &Value) -> Result<(i64, i64), Unfit> {
        let id = document.get("id").unwrap_or(&Value::Null);
        let Some((id, key)) = id
            .as_str()
            .and_then(|id| Some((id, parse_document_id(id)?)))
        else {
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            return Err(Unfit::Foreign { id });
        };
        let corrupt = |detail| Unfit::Corrupt { key, detail };
        let version = document.get("version").and_then(Value::as_i64);
        let version = version.ok_or_else(|| corrupt("no integer field version"))?;
        let payload = document.get("payload").and_then(Value::as_str);
        let payload = payload.ok_or_else(|| corrupt("no text field payload"))?;
        let sum = document.get("sum").and_then(Value::as_str);
        let sum = sum.ok_or_else(|| corrupt("no text field sum"))?;
        if sum != self.sum(id, version, payload) {
            return Err(corrupt("the checksum is wrong"));
        }
        Ok((key, version))
    }

    /// Hexadecimal text that depends on seed, key and version; so does its length.
    fn payload(&self, write: Write) -> String {
        let mut input = [0; 24];
        input[..8].copy_from_slice(&write.key.to_le_bytes());
        input[8..16].copy_from_slice(&write.version.to_le_bytes());
        let mut block = |number: u64| {
            input[16..].copy_from_slice(&number.to_le_bytes());
            xxh3_64_with_seed(&input, self.seed)
        };
        let PayloadRange { least, most } = self.payload;
        let lengths = u64::from(most - least) + 1;
        let length = u64::from(least) + block(0) % lengths;
        let length = usize::try_from(length).expect("at most 16 MiB");
        let mut text = String::with_capacity(length + 16);
        for number in 1.. {
            if text.len() >= length {
                break;
            }
            text.push_str(&format!("{:016x}", block(number)));
        }
        text.truncate(length);
        text
    }

    fn sum(&self, id: &str, version: i64, payload: &str) -> String {
        let mut hash = Xxh3::with_seed(self.seed);
        hash.update(&(id.len() as u64).to_le_bytes());
        hash.update(id.as_bytes());
        hash.update(&version.to_le_bytes());
        hash.update(payload.as_bytes());
        format!("{:016x}", hash.digest())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const WRITE: Write = Write {
        key: 42,
        version: 3,
    };

    fn documents() -> Documents {
        Documents::new(7, PayloadRange::default())
    }

    #[test]
    fn a_document_depends_on_seed_key_and_version_alone() {
        let document = documents().document(WRITE);
        assert_eq!(document["id"], "d00000000042");
        assert_eq!(document, documents().document(WRITE));
        let later = Write {
            version: 4,
            ..WRITE
        };
        assert_ne!(document["payload"], documents().document(later)["payload"]);
        let other_run = Documents::new(8, PayloadRange::default());
        assert_ne!(document["payload"], other_run.document(WRITE)["payload"]);
    }

    #[test]
    fn fields_the_system_adds_are_ignored() {
        let mut document = documents().document(WRITE);
        document["_shard"] = json!(5);
        assert_eq!(documents().verify(&document), Ok((42, 3)));
    }

    #[test]
    fn every_field_is_covered_by_the_checksum() {
        let whole = documents().document(WRITE);
        for (field, value) in [
            ("id", json!("d00000000043")),
            ("version", json!(2)),
            ("version", json!("3")),
            ("payload", json!("")),
            ("payload", json!(null)),
            ("sum", json!("0000000000000000")),
        ] {
            let mut document = whole.clone();
            document[field] = value;
            let verified = documents().verify(&document);
            assert!(matches!(verified, Err(Unfit::Corrupt { .. })), "{document}");
            document.as_object_mut().unwrap().remove(field);
            assert!(documents().verify(&document).is_err(), "{document}");
        }
        let other_run = Documents::new(8, PayloadRange::default());
        assert!(matches!(
            other_run.verify(&whole),
            Err(Unfit::Corrupt { .. })
        ));
    }

    #[test]
    fn ids_of_others_are_foreign() {
        for id in [
            json!("x00000000042"),
            json!("d42"),
            json!("d0000000004a"),
            json!("d+0000000042"),
            json!("d000000000042"),
            json!("d99999999999999999999"),
            json!(42),
            json!(null),
        ] {
            let verified = documents().verify(&json!({ "id": id, "version": 1 }));
            assert!(matches!(verified, Err(Unfit::Foreign { .. })), "{id}");
        }
    }

    proptest! {
        #[test]
        fn ids_are_read_back(key in 0..=i64::MAX) {
            prop_assert_eq!(parse_document_id(&document_id(key)), Some(key));
        }

        #[test]
        fn documents_verify_and_keep_to_the_payload_range(
            seed: u64, key in 0i64..1 << 40, version in 1i64..1 << 31, least in 0u32..100, more in 0u32..100,
        ) {
            let documents = Documents::new(seed, PayloadRange::new(least, least + more).unwrap());
            let document = documents.document(Write { key, version });
            prop_assert_eq!(documents.verify(&document), Ok((key, version)));
            let length = document["payload"].as_str().unwrap().len() as u32;
            prop_assert!((least..=least + more).contains(&length));
        }
    }
}
