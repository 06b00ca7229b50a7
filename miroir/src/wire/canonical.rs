//! Documents on their way through the router: brought into canonical form as they are read, without building a tree of
//! values for those whose fields are plain. The bytes are those of [`document::canonical`](super::document::canonical).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::document::{
    Document, EXPIRES, INTERNAL_PREFIX, PRIMARY_KEY, SHARD, STAMP, expires_of, parse_id,
};
use super::error::ApiError;

/// Longest integer that surely fits into 64 bits.
const PLAIN_DIGITS: usize = 18;

/// A client's document as it came: its fields in their order, values unread.
#[derive(Debug)]
pub(crate) struct Raw<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A document in canonical form, without shard and stamp.
#[derive(Debug, Clone, Default)]
pub(crate) struct Canonical {
    /// When it expires, in milliseconds since 1970.
    pub(crate) expires_ms: Option<u64>,
    /// Fields that come before shard and stamp, without the braces.
    head: Vec<u8>,
    /// Fields that come behind.
    tail: Vec<u8>,
}

impl Canonical {
    /// The document with shard and stamp, in canonical form.
    pub(crate) fn put(&self, out: &mut Vec<u8>, shard: u32, stamp: u64) {
        out.push(b'{');
        out.extend_from_slice(&self.head);
        if !self.head.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{SHARD}\":{shard},\"{STAMP}\":{stamp}").as_bytes());
        if !self.tail.is_empty() {
            out.push(b',');
            out.extend_from_slice(&self.tail);
        }
        out.push(b'}');
    }

    /// The document without shard and stamp.
    pub(crate) fn document(&self) -> Document {
        let parts = [&self.head, &self.tail].map(|part| part.as_slice());
        let fields = parts.into_iter().filter(|part| !part.is_empty());
        let fields: Vec<&[u8]> = fields.collect();
        let whole = [b"{", fields.join(&b',').as_slice(), b"}"].concat();
        serde_json::from_slice(&whole).expect("it was made of JSON")
    }

    fn put_field(&mut self, name: &str, value: &[u8]) {
        let part = if name < SHARD {
            &mut self.head
        } else {
            &mut self.tail
        };
        if !part.is_empty() {
            part.push(b',');
        }
        if name.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
            part.push(b'"');
            part.extend_from_slice(name.as_bytes());
            part.push(b'"');
        } else {
            part.extend(serde_json::to_vec(name).expect("text is JSON"));
        }
        part.push(b':');
        part.extend_from_slice(value);
    }
}

impl From<Document> for Canonical {
    /// Shard and stamp are left out.
    fn from(document: Document) -> Self {
        let mut canonical = Canonical {
            expires_ms: expires_of(&document),
            ..Canonical::default()
        };
        let mut fields: Vec<(String, Value)> = document.into_iter().collect();
        fields.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in fields {
            if name != SHARD && name != STAMP {
                canonical.put_field(&name, &canonical_value(value));
            }
        }
        canonical
    }
}

impl Raw<'_> {
    /// The primary key and the canonical form.
    ///
    /// # Errors
    /// If the document has no valid primary key, or fields that clients must not set.
    pub(crate) fn read(mut self) -> Result<(String, Canonical), ApiError> {
        // The last of several fields with the same name counts.
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        let mut canonical = Canonical::default();
        let mut id = None;
        for (n, (name, raw)) in self.0.iter().enumerate() {
            if self.0.get(n + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            let value = match plain(raw.get()) {
                Some(bytes) => Cow::Borrowed(bytes),
                None => Cow::Owned(canonical_value(parse(raw)?)),
            };
            if name == PRIMARY_KEY {
                id = Some(parse_id(&parse(raw)?)?);
            } else if name == EXPIRES {
                canonical.expires_ms = expiry(&parse(raw)?)?;
            } else if name.starts_with(INTERNAL_PREFIX) {
                return Err(reserved(name));
            }
            canonical.put_field(name, &value);
        }
        let id = id.ok_or(super::document::IdError::Missing)?;
        Ok((id, canonical))
    }
}

/// The refusal of a field that only Miroir may set.
pub(crate) fn reserved(field: &str) -> ApiError {
    ApiError::bad_request(
        "reserved_field",
        format!(
            "`{field}` is reserved: fields that start with `_miroir_` are set by the router only"
        ),
    )
}

fn expiry(value: &Value) -> Result<Option<u64>, ApiError> {
    match value.as_u64() {
        None if !value.is_null() => Err(ApiError::bad_request(
            "invalid_document_fields",
            format!("`{EXPIRES}` is not a number of milliseconds since 1970"),
        )),
        at => Ok(at),
    }
}

fn parse(raw: &RawValue) -> Result<Value, ApiError> {
    super::message::parse_body(raw.get().as_bytes())
}

fn canonical_value(mut value: Value) -> Vec<u8> {
    value.sort_all_objects();
    serde_json::to_vec(&value).expect("a JSON value has string keys only")
}

/// A value that is its own canonical form: text without escapes, an integer of moderate length, `true`, `false`,
/// `null`.
fn plain(value: &str) -> Option<&[u8]> {
    let bytes = value.as_bytes();
    let is_plain = match bytes {
        [b'"', ..] => !bytes.contains(&b'\\'),
        b"true" | b"false" | b"null" | b"0" => true,
        [b'1'..=b'9', rest @ ..] | [b'-', b'1'..=b'9', rest @ ..] => {
            bytes.len() <= PLAIN_DIGITS && rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    is_plain.then_some(bytes)
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw<'de>, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(name) = map.next_key::<&RawValue>()? {
                    fields.push((key(name.get())?, map.next_value()?));
                }
                Ok(Raw(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The name of a field, as it stands between its quotes if it has no escapes.
fn key<E: serde::de::Error>(raw: &str) -> Result<Cow<'_, str>, E> {
    let inner = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        _ => serde_json::from_str(raw).map(Cow::Owned).map_err(E::custom),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::wire::document::{canonical, document_id};

    fn read(text: &str) -> Result<(String, Canonical), ApiError> {
        serde_json::from_str::<Raw<'_>>(text).unwrap().read()
    }

    fn stamped(canonical: &Canonical) -> Vec<u8> {
        let mut out = Vec::new();
        canonical.put(&mut out, 7, 99);
        out
    }

    /// The slow way.
    fn expected(text: &str) -> (String, Vec<u8>) {
        let mut document: Document = serde_json::from_str(text).unwrap();
        let id = document_id(&document).unwrap();
        document.insert(SHARD.to_owned(), json!(7));
        document.insert(STAMP.to_owned(), json!(99));
        (id, canonical(document))
    }

    #[test]
    fn canonical_bytes_are_those_of_the_parsed_document() {
        for text in [
            r#"{"id":"a"}"#,
            r#" { "z" : 1 , "id" : 7 , "Z" : "x" , "_" : null , "_miroir" : true } "#,
            r#"{"id":"a","e":"a\u0041\/\n\u00e9é","f":1e3,"g":-0,"h":0.1,"i":123456789.123456789}"#,
            r#"{"id":"a","n":18446744073709551615,"m":-9223372036854775808,"k":999999999999999999}"#,
            r#"{"id":"a","o":{"b":[1, {"y":2,"x":1}],"a":""},"p":[],"x\"y":1,"\u0041":2}"#,
            r#"{"id":"first","a":1,"id":"second","a":2}"#,
            r#"{"id":"a","_miroir_expires_at":5}"#,
            r#"{"id":"a","_miroir_expires_at":null,"":0}"#,
        ] {
            let (id, found) = read(text).unwrap();
            let (expected_id, bytes) = expected(text);
            assert_eq!(id, expected_id, "{text}");
            let found_bytes = stamped(&found);
            assert_eq!(
                String::from_utf8(found_bytes).unwrap(),
                String::from_utf8(bytes.clone()).unwrap()
            );
            assert_eq!(stamped(&found.document().into()), bytes, "{text}");
        }
    }

    #[test]
    fn what_clients_must_not_set_is_refused() {
        for (text, code) in [
            (r#"{"a":1}"#, "missing_document_id"),
            (r#"{"id":1.5}"#, "invalid_document_id"),
            (r#"{"id":"a b"}"#, "invalid_document_id"),
            (r#"{"id":"a","_miroir_shard":1}"#, "reserved_field"),
            (r#"{"id":"a","_miroir_x":1}"#, "reserved_field"),
            (
                r#"{"id":"a","_miroir_expires_at":"x"}"#,
                "invalid_document_fields",
            ),
            (r#"{"id":"a","x":1e999}"#, "malformed_payload"),
            (r#"{"id":"a","x":"\ud800"}"#, "malformed_payload"),
        ] {
            assert_eq!(read(text).unwrap_err().code, code, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_document_reads_as_it_parses(
            fields in proptest::collection::btree_map(".{0,6}", any::<(i64, f64, String, bool)>(), 0..6),
            id in "[a-zA-Z0-9_-]{1,8}",
        ) {
            let mut document = json!({"id": id});
            for (name, (integer, float, text, flag)) in fields {
                if name != "id" && !name.starts_with(INTERNAL_PREFIX) {
                    document[&name] = json!([integer, float, text, flag]);
                    document[format!("{name}i")] = json!(integer);
                    document[format!("{name}t")] = json!(text);
                    document[format!("{name}f")] = json!(float);
                }
            }
            document["id"] = json!(id);
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
                let (found_id, found) = read(&text).unwrap();
                prop_assert_eq!((found_id, stamped(&found)), expected(&text));
            }
        }
    }
}
