//! The documented endpoints of Meilisearch v1 that a storage node needs, as typed calls.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::http::{CallError, HttpClient, Request};
use super::super::operations::{PeerError, encode, refusal};
use crate::wire::document::{Document, PRIMARY_KEY};

/// One Meilisearch.
pub(super) struct Api {
    pub(super) node: String,
    http: HttpClient,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
}

/// Body of `documents/fetch`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fetch<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter: Option<String>,
    /// Known since v1.14.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fields: Option<&'a [&'a str]>,
    /// 20 if left out.
    pub(super) limit: usize,
}

/// Answer of `documents/fetch`.
#[derive(Debug, Deserialize)]
pub(super) struct Fetched {
    /// In no particular order.
    pub(super) results: Vec<Document>,
    /// Documents that match, on this page or not.
    pub(super) total: u64,
}

/// Answer of requests that are carried out later.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enqueued {
    task_uid: u64,
}

/// A task.
#[derive(Debug, Deserialize)]
pub(super) struct Task {
    pub(super) uid: u64,
    pub(super) status: TaskStatus,
    #[serde(default)]
    pub(super) error: Option<TaskError>,
    #[serde(default)]
    pub(super) details: Option<TaskDetails>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum TaskStatus {
    Enqueued,
    Processing,
    Succeeded,
    Failed,
    Canceled,
}

/// Why a task failed.
#[derive(Debug, Deserialize)]
pub(super) struct TaskError {
    pub(super) code: String,
    pub(super) message: String,
}

/// What a task did.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskDetails {
    #[serde(default)]
    pub(super) deleted_documents: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Tasks {
    results: Vec<Task>,
}

/// An index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    /// None is known until it is set or documents are added.
    pub(super) primary_key: Option<String>,
}

impl Api {
    /// Without connections yet.
    pub(super) fn new(
        node: String,
        address: SocketAddr,
        timeout: Duration,
        key: Option<&str>,
    ) -> Self {
        let bearer = key.and_then(|k| HeaderValue::from_str(&format!("Bearer {k}")).ok());
        let headers = bearer.map(|mut value| {
            value.set_sensitive(true);
            (header::AUTHORIZATION, value)
        });
        Api {
            node,
            http: HttpClient::new(address),
            headers: headers.into_iter().collect(),
            timeout,
        }
    }

    /// When what begins now must be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// No answer in time.
    pub(super) fn timed_out(&self) -> PeerError {
        self.lost(CallError::TimedOut)
    }

    /// An answer that makes no sense.
    pub(super) fn broken(&self, what: impl Into<String>) -> PeerError {
        self.lost(CallError::Broken(what.into()))
    }

    /// Adds or replaces documents. Answers with the task.
    pub(super) async fn add_documents(
        &self,
        index: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let path = format!("/indexes/{index}/documents?primaryKey={PRIMARY_KEY}");
        self.enqueue(Method::POST, &path, body, deadline).await
    }

    /// Deletes the documents that match. Answers with the task.
    pub(super) async fn delete_by_filter(
        &self,
        index: &str,
        filter: &str,
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let path = format!("/indexes/{index}/documents/delete");
        let body = encode(&json!({"filter": filter}));
        self.enqueue(Method::POST, &path, body, deadline).await
    }

    /// Reads documents.
    pub(super) async fn fetch(
        &self,
        index: &str,
        request: &Fetch<'_>,
    ) -> Result<Fetched, PeerError> {
        let path = format!("/indexes/{index}/documents/fetch");
        self.request(Method::POST, &path, encode(request), self.deadline())
            .await
    }

    /// Reads one document.
    pub(super) async fn document(
        &self,
        index: &str,
        id: &str,
    ) -> Result<Option<Document>, PeerError> {
        let path = format!("/indexes/{index}/documents/{id}");
        let found = self
            .request(Method::GET, &path, Bytes::new(), self.deadline())
            .await;
        unless(found, "document_not_found")
    }

    /// Reads a task.
    pub(super) async fn task(&self, uid: u64, deadline: Instant) -> Result<Task, PeerError> {
        let path = format!("/tasks/{uid}");
        self.request(Method::GET, &path, Bytes::new(), deadline)
            .await
    }

    /// The task of an index that was accepted last, among those that are not over.
    pub(super) async fn newest_open_task(&self, index: &str) -> Result<Option<u64>, PeerError> {
        let path = format!("/tasks?indexUids={index}&statuses=enqueued,processing&limit=1");
        let tasks: Tasks = self
            .request(Method::GET, &path, Bytes::new(), self.deadline())
            .await?;
        Ok(tasks.results.first().map(|t| t.uid))
    }

    /// Reads an index.
    pub(super) async fn index(&self, index: &str) -> Result<Option<Index>, PeerError> {
        let path = format!("/indexes/{index}");
        let found = self
            .request(Method::GET, &path, Bytes::new(), self.deadline())
            .await;
        unless(found, "index_not_found")
    }

    /// Makes an index. Answers with the task.
    pub(super) async fn create_index(
        &self,
        index: &str,
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let body = encode(&json!({"uid": index, "primaryKey": PRIMARY_KEY}));
        self.enqueue(Method::POST, "/indexes", body, deadline).await
    }

    /// Sets the primary key of an index that has none. Answers with the task.
    pub(super) async fn set_primary_key(
        &self,
        index: &str,
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let body = encode(&json!({"primaryKey": PRIMARY_KEY}));
        self.enqueue(Method::PATCH, &format!("/indexes/{index}"), body, deadline)
            .await
    }

    /// What filters of an index may name.
    pub(super) async fn filterable_attributes(&self, index: &str) -> Result<Vec<Value>, PeerError> {
        let path = format!("/indexes/{index}/settings/filterable-attributes");
        self.request(Method::GET, &path, Bytes::new(), self.deadline())
            .await
    }

    /// Sets what filters of an index may name. Answers with the task.
    pub(super) async fn set_filterable_attributes(
        &self,
        index: &str,
        attributes: &[Value],
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let path = format!("/indexes/{index}/settings/filterable-attributes");
        self.enqueue(Method::PUT, &path, encode(&attributes), deadline)
            .await
    }

    async fn enqueue(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<u64, PeerError> {
        let task: Enqueued = self.request(method, path, body, deadline).await?;
        Ok(task.task_uid)
    }

    async fn request<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        deadline: Instant,
    ) -> Result<T, PeerError> {
        let request = Request {
            method,
            path,
            headers: &self.headers,
            body,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = self
            .http
            .call(request, left)
            .await
            .map_err(|e| self.lost(e))?;
        if !answer.status.is_success() {
            return Err(refusal(&self.node, answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|e| self.broken(e.to_string()))
    }

    fn lost(&self, error: CallError) -> PeerError {
        PeerError::Call {
            node: self.node.clone(),
            error,
        }
    }
}

/// Takes one kind of 404 for an answer.
fn unless<T>(found: Result<T, PeerError>, code: &str) -> Result<Option<T>, PeerError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(PeerError::Answer {
            status, code: c, ..
        }) if status == StatusCode::NOT_FOUND.as_u16() && c == code => Ok(None),
        Err(error) => Err(error),
    }
}
