//! A Meilisearch v1 in a storage node's place.
//!
//! It compares no stamps, keeps no tombstones, knows no fences and computes no fingerprints, so this side does: what
//! carries a stamp of its own is compared with what the node holds under the keys' locks before it is written, deletes
//! are stored as documents, and comparisons read the documents. Fences cannot be had: see `docs/miroir.md`.

mod api;
mod carry;
mod rank;
mod removal;
mod setup;
mod shard;
mod tasks;
mod tombstone;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::http::CallError;
use super::operations::{PeerError, Stamped, encode};
use crate::router::KeyLocks;
use crate::wire::document::{Document, document_id, is_expired};
use crate::wire::message::{Page, TaskSummary, Tombstone};
use crate::wire::stamp::millis_of;
use api::{Api, Fetch};
use rank::{Rank, rank};
use tombstone::{document_of, is_tombstone, sort_out};

/// Keys whose locks are held at once while records are carried over: clients wait for them.
const LOCKED: usize = 100;
/// Keys read per request.
const READ: usize = 1000;
/// Single documents read at the same time from a Meilisearch that cannot read by several ids.
const CONCURRENT: usize = 16;
/// A field that Meilisearch does not give back as it was written.
const VECTORS: &str = "_vectors";

/// A Meilisearch.
pub(super) struct Meilisearch {
    api: Arc<Api>,
    locks: Arc<KeyLocks>,
    /// Whether the index is known to be as it must be.
    prepared: AtomicBool,
    preparing: Mutex<()>,
    /// Whether `documents/fetch` is known not to take ids (before v1.14).
    lacks_ids: AtomicBool,
}

impl Meilisearch {
    /// A Meilisearch at an address; no call lasts longer than `timeout`.
    pub(super) fn new(
        name: String,
        address: SocketAddr,
        timeout: Duration,
        key: Option<&str>,
        locks: Arc<KeyLocks>,
    ) -> Self {
        Meilisearch {
            api: Arc::new(Api::new(name, address, timeout, key)),
            locks,
            prepared: AtomicBool::new(false),
            preparing: Mutex::default(),
            lacks_ids: AtomicBool::new(false),
        }
    }

    /// Replaces documents or merges into them. The caller holds the keys' locks and has the highest stamp.
    pub(super) async fn write(
        &self,
        index: &str,
        method: Method,
        body: Bytes,
        want_documents: bool,
    ) -> Result<TaskSummary, PeerError> {
        let mut documents: Vec<Document> =
            serde_json::from_slice(&body).expect("the router has encoded the documents");
        if method == Method::PUT {
            let merged = self.merged(index, documents).await;
            documents = merged.map_err(|e| self.unsent(e.to_string()))?;
        }
        let mut summary = self.store(index, &documents).await?;
        if want_documents {
            summary.documents = documents.into_iter().map(Some).collect();
        }
        Ok(summary)
    }

    /// Documents merged into what the node holds. It could merge by itself, but not into what has expired.
    async fn merged(
        &self,
        index: &str,
        documents: Vec<Document>,
    ) -> Result<Vec<Document>, PeerError> {
        self.settle(index).await?;
        let found = self.documents(index, &ids_of(&documents)).await?;
        let mut held = HashMap::new();
        for document in found {
            held.insert(self.ranked(&document)?.0, document);
        }
        let mut whole = Vec::with_capacity(documents.len());
        for document in documents {
            let (id, rank) = self.ranked(&document)?;
            let now_ms = millis_of(rank.stamp);
            let base = held
                .remove(&id)
                .filter(|d| !is_tombstone(d) && !is_expired(d, now_ms));
            let mut merged = base.unwrap_or_default();
            merged.extend(document);
            held.insert(id, merged.clone());
            whole.push(merged);
        }
        Ok(whole)
    }

    /// Deletes documents, leaving tombstones. The caller holds the keys' locks and has the highest stamp.
    pub(super) async fn bury(
        &self,
        index: &str,
        tombstones: Vec<Tombstone>,
    ) -> Result<TaskSummary, PeerError> {
        let documents: Vec<Document> = tombstones.iter().map(document_of).collect();
        self.store(index, &documents).await
    }

    /// Waits until everything accepted so far has been applied, or has failed.
    pub(super) async fn settle(&self, index: &str) -> Result<(), PeerError> {
        self.ready(index).await?;
        match self.api.newest_open_task(index).await? {
            Some(open) => tasks::end(&self.api, open, self.api.deadline())
                .await
                .map(drop),
            None => Ok(()),
        }
    }

    /// Reads single keys, tombstones included.
    pub(super) async fn by_ids(&self, index: &str, ids: &[String]) -> Result<Page, PeerError> {
        let found = self.documents(index, ids).await?;
        let Stamped {
            documents,
            tombstones,
        } = sort_out(found).map_err(|e| self.api.broken(e.to_string()))?;
        Ok(Page {
            offset: 0,
            limit: ids.len(),
            total: documents.len() as u64,
            seq: 0,
            next: None,
            results: documents,
            tombstones,
        })
    }

    fn ranked(&self, document: &Document) -> Result<(String, Rank), PeerError> {
        rank(document).map_err(|e| self.api.broken(e.to_string()))
    }

    /// Documents as they lie on the node; unknown ones are left out.
    async fn documents(&self, index: &str, ids: &[String]) -> Result<Vec<Document>, PeerError> {
        self.ready(index).await?;
        if let [id] = ids {
            let found = self.checked(self.api.document(index, id).await)?;
            return Ok(found.into_iter().collect());
        }
        let mut all = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(READ) {
            if self.lacks_ids.load(Ordering::Relaxed) {
                all.extend(self.one_by_one(index, chunk).await?);
                continue;
            }
            let request = Fetch {
                ids: Some(chunk),
                limit: chunk.len(),
                ..Fetch::default()
            };
            match self.checked(self.api.fetch(index, &request).await) {
                Ok(fetched) => all.extend(fetched.results),
                Err(PeerError::Answer { code, .. }) if code == "bad_request" => {
                    self.lacks_ids.store(true, Ordering::Relaxed);
                    all.extend(self.one_by_one(index, chunk).await?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    async fn one_by_one(&self, index: &str, ids: &[String]) -> Result<Vec<Document>, PeerError> {
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(CONCURRENT) {
            let mut calls = JoinSet::new();
            for id in some {
                let (api, index, id) = (Arc::clone(&self.api), index.to_owned(), id.clone());
                calls.spawn(async move { api.document(&index, &id).await });
            }
            while let Some(call) = calls.join_next().await {
                let found = call.map_err(|e| self.api.broken(e.to_string()))?;
                all.extend(self.checked(found)?);
            }
        }
        Ok(all)
    }

    /// Sends documents and waits until they are stored.
    async fn store(&self, index: &str, documents: &[Document]) -> Result<TaskSummary, PeerError> {
        if documents.iter().any(|d| d.contains_key(VECTORS)) {
            return Err(PeerError::Answer {
                node: self.api.node.clone(),
                status: 400,
                code: "field_not_kept".to_owned(),
                message: format!("a Meilisearch does not give `{VECTORS}` back as it was written"),
            });
        }
        self.ready(index).await?;
        let deadline = self.api.deadline();
        let sent = self
            .api
            .add_documents(index, encode(&documents), deadline)
            .await;
        let task = self.checked(sent)?;
        self.checked(tasks::succeed(&self.api, task, deadline).await)?;
        let deletes = documents.iter().any(is_tombstone);
        let kind = if deletes {
            "documentDeletion"
        } else {
            "documentAdditionOrUpdate"
        };
        Ok(TaskSummary::succeeded(task, index, kind))
    }

    /// Prepares the index, once. Failing to is certain not to have written anything.
    async fn ready(&self, index: &str) -> Result<(), PeerError> {
        if self.prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        let preparing = async {
            let _one = self.preparing.lock().await;
            if !self.prepared.load(Ordering::Acquire) {
                setup::prepare(&self.api, index).await?;
                self.prepared.store(true, Ordering::Release);
            }
            Ok(())
        };
        match timeout_at(self.api.deadline(), preparing).await {
            Ok(done) => {
                done.map_err(|e: PeerError| self.unsent(format!("the index is not prepared: {e}")))
            }
            Err(_) => Err(self.unsent("preparing the index takes too long")),
        }
    }

    /// An error before anything was written.
    fn unsent(&self, why: impl Into<String>) -> PeerError {
        PeerError::Call {
            node: self.api.node.clone(),
            error: CallError::NotSent(why.into()),
        }
    }

    /// Looks for signs that the index is not as it was, so that it is prepared again before the next call.
    fn checked<T>(&self, result: Result<T, PeerError>) -> Result<T, PeerError> {
        if let Err(PeerError::Answer { code, .. } | PeerError::Task { code, .. }) = &result
            && matches!(code.as_str(), "index_not_found" | "invalid_document_filter")
        {
            self.prepared.store(false, Ordering::Release);
        }
        result
    }
}

fn ids_of(documents: &[Document]) -> Vec<String> {
    documents
        .iter()
        .filter_map(|d| document_id(d).ok())
        .collect()
}
