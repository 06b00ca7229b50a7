//! The API of Miroir's own nodes as typed calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use thiserror::Error;

use super::http::{CallError, HttpClient, Request, Response};
use super::identity::Identity;
use crate::wire::document::Document;
use crate::wire::error::ErrorBody;
use crate::wire::message::{
    ChangeLog, DeleteBatchBody, DeleteByFilter, EPOCH_HEADER, Entries, EntriesRequest, EpochAnswer,
    ExpireRequest, FenceRequest, Fenced, Fingerprint, INCARNATION_HEADER, ORIGIN_HEADER, Origin,
    Page, PageRequest, PurgeRequest, RETURN_HEADER, Removed, TERM_HEADER, TaskSummary, Tombstone,
    shard_filter,
};

/// One of Miroir's own storage nodes.
pub(super) struct MiroirNode {
    name: String,
    http: HttpClient,
    timeout: Duration,
    identity: Arc<Identity>,
}

/// Why a call failed.
#[derive(Debug, Error, Clone)]
pub(crate) enum PeerError {
    /// No answer.
    #[error("node {node}: {error}")]
    Call { node: String, error: CallError },
    /// The node answered with an error.
    #[error("node {node}: {code}: {message}")]
    Answer {
        node: String,
        status: u16,
        code: String,
        message: String,
    },
    /// The node has taken the request, and then failed to carry it out.
    #[error("node {node}: task {task}: {code}: {message}")]
    Task {
        node: String,
        task: u64,
        code: String,
        message: String,
    },
}

/// What a failed write means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Certainly not applied, now or later.
    pub(crate) certain: bool,
    /// `refused`, `reset`, `timeout`, `broken`, `abandoned`, or the node's error code.
    pub(crate) cause: String,
}

/// Who writes: the term each write carries beside the router's epoch, and its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) term: u64,
    pub(crate) origin: Origin,
}

/// Documents and tombstones with their stamps, as they lie on a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stamped {
    pub(crate) documents: Vec<Document>,
    pub(crate) tombstones: Vec<Tombstone>,
}

impl PeerError {
    /// What this error means for a write.
    pub(crate) fn failure(&self) -> Failure {
        let (certain, cause) = match self {
            PeerError::Call { error, .. } => match error {
                CallError::NotSent(_) => (true, "refused"),
                CallError::Reset => (false, "reset"),
                CallError::TimedOut => (false, "timeout"),
                CallError::Broken(_) => (false, "broken"),
            },
            // Nodes answer 4xx and 503 before they touch anything.
            PeerError::Answer { status, code, .. } => {
                ((400..500).contains(status) || *status == 503, code.as_str())
            }
            // A failed task leaves nothing behind.
            PeerError::Task { code, .. } => (true, code.as_str()),
        };
        Failure {
            certain,
            cause: cause.to_owned(),
        }
    }
}

impl MiroirNode {
    /// A node at an address, which may want a key; no call lasts longer than `timeout`.
    pub(super) fn new(
        name: String,
        address: SocketAddr,
        timeout: Duration,
        key: Option<&str>,
        identity: Arc<Identity>,
    ) -> Self {
        MiroirNode {
            name,
            http: HttpClient::with_key(address, key),
            timeout,
            identity,
        }
    }

    /// Replaces documents (POST) or merges into them (PUT). `body` is a JSON array.
    pub(super) async fn write(
        &self,
        index: &str,
        method: Method,
        body: Bytes,
        writer: Writer,
        want_documents: bool,
    ) -> Result<TaskSummary, PeerError> {
        let mut headers = writer.headers();
        if want_documents {
            headers.push((
                HeaderName::from_static(RETURN_HEADER),
                HeaderValue::from_static("documents"),
            ));
        }
        self.request(
            method,
            &format!("/indexes/{index}/documents"),
            &headers,
            body,
        )
        .await
    }

    /// Replaces packed documents.
    pub(super) async fn replace(
        &self,
        index: &str,
        packed: Bytes,
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        let path = format!("/indexes/{index}/_miroir/documents");
        self.request(Method::POST, &path, &writer.headers(), packed)
            .await
    }

    /// Deletes documents, leaving tombstones.
    pub(super) async fn bury(
        &self,
        index: &str,
        tombstones: Vec<Tombstone>,
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        let body = encode(&DeleteBatchBody {
            tombstones,
            ..DeleteBatchBody::default()
        });
        self.request(
            Method::POST,
            &format!("/indexes/{index}/documents/delete-batch"),
            &writer.headers(),
            body,
        )
        .await
    }

    /// Removes documents without a trace: what a planted bug does in place of [`Self::bury`].
    #[cfg(feature = "planted-bugs")]
    pub(super) async fn erase(
        &self,
        index: &str,
        ids: &[String],
        writer: Writer,
    ) -> Result<TaskSummary, PeerError> {
        let path = format!("/indexes/{index}/documents/delete-batch");
        self.request(Method::POST, &path, &writer.headers(), encode(&ids))
            .await
    }

    /// Applies documents and tombstones with the stamps they carry; whatever is older than what the node holds is
    /// ignored. Answers how many were applied.
    pub(super) async fn carry(
        &self,
        index: &str,
        records: Stamped,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        let mut applied = (records.documents.len() + records.tombstones.len()) as u64;
        if !records.documents.is_empty() {
            let task = self
                .write(
                    index,
                    Method::POST,
                    encode(&records.documents),
                    writer,
                    false,
                )
                .await?;
            applied -= task.ignored;
        }
        if !records.tombstones.is_empty() {
            let task = self.bury(index, records.tombstones, writer).await?;
            applied -= task.ignored;
        }
        Ok(applied)
    }

    /// Removes a shard without a trace.
    pub(super) async fn drop_shard(
        &self,
        index: &str,
        shard: u32,
        writer: Writer,
    ) -> Result<(), PeerError> {
        let body = encode(&DeleteByFilter {
            filter: shard_filter(shard),
            stamp: None,
        });
        let path = format!("/indexes/{index}/documents/delete");
        self.request::<TaskSummary>(Method::POST, &path, &writer.headers(), body)
            .await
            .map(drop)
    }

    /// Raises fences; answers with the highest stamp the node has ever been given.
    pub(super) async fn fence(&self, fence: &FenceRequest) -> Result<u64, PeerError> {
        let fenced: Fenced = self
            .request(Method::POST, "/_miroir/fence", &[], encode(fence))
            .await?;
        Ok(fenced.stamp)
    }

    /// Forgets tombstones that every replica holds; answers how many.
    pub(super) async fn purge(
        &self,
        index: &str,
        request: &PurgeRequest,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        let path = format!("/indexes/{index}/_miroir/purge");
        let answer: Removed = self
            .request(Method::POST, &path, &writer.headers(), encode(request))
            .await?;
        Ok(answer.removed)
    }

    /// Turns expired documents into tombstones; answers how many.
    pub(super) async fn expire(
        &self,
        index: &str,
        now_ms: u64,
        writer: Writer,
    ) -> Result<u64, PeerError> {
        let path = format!("/indexes/{index}/_miroir/expire");
        let body = encode(&ExpireRequest { now_ms });
        let answer: Removed = self
            .request(Method::POST, &path, &writer.headers(), body)
            .await?;
        Ok(answer.removed)
    }

    /// Reads the change log from a number on.
    pub(super) async fn changes(&self, from: u64, limit: usize) -> Result<ChangeLog, PeerError> {
        let path = format!("/_miroir/changes?from={from}&limit={limit}");
        self.request(Method::GET, &path, &[], Bytes::new()).await
    }

    /// Asks which router the node takes orders from, and what the highest stamp is that it has seen.
    pub(super) async fn epoch(&self) -> Result<EpochAnswer, PeerError> {
        self.request(Method::GET, "/_miroir/epoch", &[], Bytes::new())
            .await
    }

    /// Reads documents and tombstones.
    pub(super) async fn page(&self, index: &str, request: &PageRequest) -> Result<Page, PeerError> {
        self.request(
            Method::POST,
            &format!("/indexes/{index}/documents/fetch"),
            &[],
            encode(request),
        )
        .await
    }

    /// Reads single keys, tombstones included.
    pub(super) async fn by_ids(&self, index: &str, ids: &[String]) -> Result<Page, PeerError> {
        let ids = Some(ids.iter().map(|id| json!(id)).collect());
        self.page(
            index,
            &PageRequest {
                ids,
                tombstones: true,
                ..PageRequest::default()
            },
        )
        .await
    }

    /// Reads a shard's fingerprint.
    pub(super) async fn fingerprint(
        &self,
        index: &str,
        shard: u32,
    ) -> Result<Fingerprint, PeerError> {
        let path = format!("/indexes/{index}/_miroir/fingerprint?shard={shard}");
        self.request(Method::GET, &path, &[], Bytes::new()).await
    }

    /// Lists keys of some buckets of a shard.
    pub(super) async fn entries(
        &self,
        index: &str,
        request: &EntriesRequest,
    ) -> Result<Entries, PeerError> {
        self.request(
            Method::POST,
            &format!("/indexes/{index}/_miroir/entries"),
            &[],
            encode(request),
        )
        .await
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<T, PeerError> {
        let mut all = Vec::with_capacity(headers.len() + 2);
        let number = HeaderValue::from;
        all.extend([
            (
                HeaderName::from_static(EPOCH_HEADER),
                number(self.identity.epoch()),
            ),
            (
                HeaderName::from_static(INCARNATION_HEADER),
                number(self.identity.incarnation),
            ),
        ]);
        all.extend_from_slice(headers);
        let request = Request {
            method,
            path,
            headers: &all,
            body,
        };
        let lost = |error| PeerError::Call {
            node: self.name.clone(),
            error,
        };
        let Response { status, body } =
            self.http.call(request, self.timeout).await.map_err(lost)?;
        if !status.is_success() {
            let refusal = refusal(&self.name, status, &body);
            if matches!(&refusal, PeerError::Answer { code, .. } if code == "stale_epoch") {
                self.identity.refused(&self.name);
            }
            return Err(refusal);
        }
        serde_json::from_slice(&body).map_err(|e| lost(CallError::Broken(e.to_string())))
    }
}

impl Writer {
    fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![(
            HeaderName::from_static(TERM_HEADER),
            HeaderValue::from(self.term),
        )];
        if let Some(origin) = self.origin.header() {
            headers.push((
                HeaderName::from_static(ORIGIN_HEADER),
                HeaderValue::from_static(origin),
            ));
        }
        headers
    }
}

pub(super) fn encode(value: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("messages have string keys only"))
}

/// The error that an answer other than success stands for, in Meilisearch's form.
pub(super) fn refusal(node: &str, status: StatusCode, body: &[u8]) -> PeerError {
    let (code, message) = match serde_json::from_slice::<ErrorBody>(body) {
        Ok(error) => (error.code, error.message),
        Err(_) => ("unknown".to_owned(), format!("HTTP {status}")),
    };
    PeerError::Answer {
        node: node.to_owned(),
        status: status.as_u16(),
        code,
        message,
    }
}
