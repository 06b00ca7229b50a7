//! From requests to operations, and from failures to answers.

use axum::body::Bytes;
use axum::http::HeaderMap;

use super::apply::{Content, Op, Refusal, Upsert, Whole, is_stale};
use super::store::{META_EPOCH, META_INCARNATION, NO_SHARD, Snapshot};
use super::writer::{Fencing, WriteError};
use crate::wire::batch::unpack;
use crate::wire::document::{Document, SHARD, STAMP, document_id};
use crate::wire::error::ApiError;
use crate::wire::message::{EPOCH_HEADER, INCARNATION_HEADER, TERM_HEADER, parse_body};

/// Documents to write, with the shard and stamp they carry, as whole documents or as fields to be merged.
pub(crate) fn upserts(
    body: &[u8],
    content: impl Fn(Document) -> Content,
) -> Result<Vec<Op>, ApiError> {
    let documents: Vec<Document> = parse_body(body)?;
    documents
        .into_iter()
        .map(|document| upsert(document, &content).map(Op::Upsert))
        .collect()
}

/// Documents as a router packs them.
pub(crate) fn packed(body: Bytes) -> Result<Vec<Op>, ApiError> {
    let documents = unpack(body).ok_or_else(|| {
        ApiError::bad_request("malformed_payload", "the packed documents make no sense")
    })?;
    documents
        .into_iter()
        .map(|document| {
            Ok(Op::Upsert(Upsert {
                id: document.id,
                shard: Some(check_shard(document.shard)?),
                stamp: Some(document.stamp),
                content: Content::Whole(Whole {
                    expires_ms: document.expires_ms,
                    bytes: document.bytes,
                }),
            }))
        })
        .collect()
}

fn upsert(document: Document, content: impl Fn(Document) -> Content) -> Result<Upsert, ApiError> {
    let number = |field: &str| match document.get(field) {
        None => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(|| {
            ApiError::bad_request(
                "invalid_document_fields",
                format!("`{field}` is {value}: a non-negative integer is expected"),
            )
        }),
    };
    let stamp = number(STAMP)?;
    let shard = number(SHARD)?
        .map(|s| check_shard(u32::try_from(s).unwrap_or(u32::MAX)))
        .transpose()?;
    Ok(Upsert {
        id: document_id(&document)?,
        shard,
        stamp,
        content: content(document),
    })
}

/// The highest numbers are taken: documents without a shard, and the end of key ranges.
pub(crate) fn check_shard(shard: u32) -> Result<u32, ApiError> {
    if shard < NO_SHARD {
        Ok(shard)
    } else {
        Err(ApiError::bad_request(
            "invalid_document_fields",
            format!("`{SHARD}` is out of range"),
        ))
    }
}

/// Index names as Meilisearch allows them.
pub(crate) fn check_index(index: &str) -> Result<(), ApiError> {
    let well_formed = (1..=400).contains(&index.len())
        && index
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if well_formed {
        Ok(())
    } else {
        Err(ApiError::bad_request(
            "invalid_index_uid",
            format!("`{index}` is not a valid index uid"),
        ))
    }
}

/// Refuses what a router asks that a newer one has replaced.
pub(crate) fn refuse_stale(snapshot: &Snapshot, fencing: Option<Fencing>) -> Result<(), ApiError> {
    let Some(fencing) = fencing else {
        return Ok(());
    };
    let counter = |key| {
        snapshot
            .counter(key)
            .map_err(|e| ApiError::internal(e.to_string()))
    };
    let current = counter(META_EPOCH)?;
    let registered = (current, counter(META_INCARNATION)?);
    if is_stale((fencing.epoch, fencing.incarnation), registered) {
        return Err(write_error(WriteError::Refused(Refusal::StaleEpoch {
            current,
        })));
    }
    Ok(())
}

/// Where a router's request stands; `None` for plain Meilisearch clients.
pub(crate) fn fencing(headers: &HeaderMap) -> Result<Option<Fencing>, ApiError> {
    let Some(epoch) = number(headers, EPOCH_HEADER)? else {
        return Ok(None);
    };
    let term = number(headers, TERM_HEADER)?.unwrap_or(0);
    let incarnation = number(headers, INCARNATION_HEADER)?.unwrap_or(0);
    Ok(Some(Fencing {
        epoch,
        incarnation,
        term,
    }))
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|v| v.parse().ok());
    parsed.map(Some).ok_or_else(|| {
        ApiError::bad_request("bad_request", format!("header `{name}` is not a number"))
    })
}

/// What a client is told of a write that was not made.
pub(crate) fn write_error(error: WriteError) -> ApiError {
    match error {
        WriteError::QueueFull => {
            ApiError::unavailable("queue_full", "too many writes are waiting: try again later")
        }
        WriteError::DiskFull => ApiError::unavailable(
            "no_space_left_on_device",
            "the disk is full: nothing was written",
        ),
        WriteError::Closed => ApiError::unavailable("shutting_down", "the node is shutting down"),
        WriteError::Refused(Refusal::StaleEpoch { current }) => ApiError::conflict(
            "stale_epoch",
            format!("a newer router has taken over (epoch {current})"),
        ),
        WriteError::Refused(Refusal::StaleTerm { shard, current }) => ApiError::conflict(
            "stale_term",
            format!("shard {shard} is fenced: term {current} or later is needed"),
        ),
        WriteError::Storage(message) => ApiError::internal(message),
    }
}
