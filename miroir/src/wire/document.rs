//! Documents: their identity, the fields Miroir adds to them, and their canonical form.

use serde_json::{Map, Value};
use thiserror::Error;

/// A JSON document.
pub(crate) type Document = Map<String, Value>;

/// The primary key of every index.
pub(crate) const PRIMARY_KEY: &str = "id";
/// Prefix of all fields that belong to Miroir: stripped from what clients see, refused in what they send.
pub(crate) const INTERNAL_PREFIX: &str = "_miroir_";
/// The shard a document belongs to.
pub(crate) const SHARD: &str = "_miroir_shard";
/// The hybrid logical clock value of a document's last write.
pub(crate) const STAMP: &str = "_miroir_updated_at";
/// When a document expires: milliseconds since 1970. The one internal field that clients may set.
pub(crate) const EXPIRES: &str = "_miroir_expires_at";

/// Why a value cannot be a primary key.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum IdError {
    /// The document has no `id`.
    #[error("a document has no `id`")]
    Missing,
    /// The `id` is not an integer, nor a string of 1 to 511 of `[A-Za-z0-9_-]`.
    #[error(
        "document identifier {0} is invalid: an integer, or 1 to 511 of [A-Za-z0-9_-], is expected"
    )]
    Invalid(String),
}

/// The primary key of a document as a string; integers and their decimal strings are the same key.
pub(crate) fn document_id(document: &Document) -> Result<String, IdError> {
    parse_id(document.get(PRIMARY_KEY).ok_or(IdError::Missing)?)
}

/// A primary key given as a JSON value.
pub(crate) fn parse_id(value: &Value) -> Result<String, IdError> {
    let invalid = || IdError::Invalid(value.to_string());
    let id = match value {
        Value::String(s) => s.clone(),
        Value::Number(n) if n.is_i64() || n.is_u64() => n.to_string(),
        _ => return Err(invalid()),
    };
    let well_formed = (1..=511).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if well_formed { Ok(id) } else { Err(invalid()) }
}

/// Removes all fields that clients must not see.
pub(crate) fn strip_internal(document: &mut Document) {
    document.retain(|name, _| !name.starts_with(INTERNAL_PREFIX));
}

/// The stamp a document carries; 0 for one that was written without.
pub(crate) fn stamp_of(document: &Document) -> u64 {
    document.get(STAMP).and_then(Value::as_u64).unwrap_or(0)
}

/// When the document expires, in milliseconds since 1970; `None` for never.
pub(crate) fn expires_of(document: &Document) -> Option<u64> {
    document.get(EXPIRES).and_then(Value::as_u64)
}

/// Whether the document has expired at a time in milliseconds since 1970.
pub(crate) fn is_expired(document: &Document, now_ms: u64) -> bool {
    expires_of(document).is_some_and(|at| at <= now_ms)
}

/// The document as bytes that are equal for equal documents: no white space, keys sorted at every depth.
pub(crate) fn canonical(document: Document) -> Vec<u8> {
    let mut value = Value::Object(document);
    value.sort_all_objects();
    serde_json::to_vec(&value).expect("a JSON value has string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn doc(value: Value) -> Document {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn integer_and_string_ids_are_the_same_key() {
        assert_eq!(document_id(&doc(json!({"id": 7}))).unwrap(), "7");
        assert_eq!(document_id(&doc(json!({"id": "7"}))).unwrap(), "7");
    }

    #[test]
    fn ids_outside_the_alphabet_are_refused() {
        for bad in [
            json!(1.5),
            json!(""),
            json!("a b"),
            json!("é"),
            json!(null),
            json!("x".repeat(512)),
        ] {
            assert!(parse_id(&bad).is_err(), "{bad}");
        }
        assert_eq!(document_id(&doc(json!({"name": 1}))), Err(IdError::Missing));
    }

    #[test]
    fn canonical_bytes_do_not_depend_on_field_order_and_keep_floats_exact() {
        let a: Document =
            serde_json::from_str(r#"{"id":1,"b":{"y":1,"x":0.1},"a":123456789.123456789}"#)
                .unwrap();
        let b: Document =
            serde_json::from_str(r#"{ "a":123456789.123456789, "b":{"x":0.1,"y":1}, "id":1}"#)
                .unwrap();
        let bytes = canonical(a.clone());
        assert_eq!(bytes, canonical(b));
        let back: Document = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back, a);
    }

    #[test]
    fn internal_fields_are_stripped() {
        let mut d = doc(json!({"id": 1, "_miroir_shard": 3, "_mirror": 1}));
        strip_internal(&mut d);
        assert_eq!(d, doc(json!({"id": 1, "_mirror": 1})));
    }
}
