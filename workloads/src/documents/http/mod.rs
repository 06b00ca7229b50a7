//! The `documents-http` protocol: a client for Meilisearch-style document APIs.
//!
//! | operation | request |
//! |---|---|
//! | put | `POST {url}/indexes/{index}/documents` with an array of documents |
//! | delete | `POST {url}/indexes/{index}/documents/delete-batch` with an array of ids |
//! | read | `GET {url}/indexes/{index}/documents/{id}` |
//! | wait for a write's task | `GET {url}/tasks/{uid}` |
//!
//! What an answer to a write means:
//!
//! | what happened | completion |
//! |---|---|
//! | no connection: refused, unreachable, `connect_timeout` passed | failed |
//! | 2xx, body read in full, task `succeeded` | done |
//! | 2xx, body read in full, task `failed` | failed |
//! | 2xx, body read in full, task `enqueued` or `processing` | as the task ends, if it does within `timeout` |
//! | 4xx without the outcome header, or with `none` | failed |
//! | 5xx with the outcome header `none` | failed |
//! | anything else: reset, closed, half a body, no JSON, other status, `timeout` passed | indeterminate |
//!
//! A read that is answered in full is done or corrupt; a 404 means absent only if its body has the
//! code `document_not_found` or `index_not_found`, since a wrong path is answered with 404, too.
//! The rest of the table holds for reads as well.
//!
//! Requests are never repeated and redirects never followed. Connections are kept and re-used. The
//! HTTP library sends a request again in one case, when the kept connection turned out to be closed
//! before the first byte of the request was handed to it; a request of which anything may have been
//! sent is never sent again, and counts as indeterminate when its connection breaks.

mod answer;
mod config;
mod exchange;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::client::{Client, Completion};
use crate::documents::{Documents, document_id};
use crate::operation::Operation;

pub(super) use answer::says_no_index;
use answer::{Settled, settle_read, settle_task, settle_write};
pub use config::{HttpConfig, HttpConfigError};
pub(super) use config::{check_index, connections, parse_base_url};
pub(super) use exchange::{Answer, Unanswered, exchange};

/// First pause between two looks at a task; doubled after each.
const FIRST_POLL: Duration = Duration::from_millis(2);
/// Longest pause between two looks at a task.
const LONGEST_POLL: Duration = Duration::from_millis(50);

/// Makes the clients of one run; they share a pool of connections.
#[derive(Debug, Clone)]
pub struct HttpClients(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    urls: Vec<Url>,
    index: String,
    timeout: Duration,
    outcome_header: Option<String>,
    documents: Documents,
}

/// The client of one process.
#[derive(Debug)]
pub struct HttpClient {
    shared: Arc<Shared>,
    base: Url,
}

impl HttpClients {
    /// Clients for the system `config` describes, writing and expecting these documents.
    ///
    /// # Errors
    /// If the configuration does not make sense.
    pub fn new(config: &HttpConfig, documents: Documents) -> Result<Self, HttpConfigError> {
        if config.urls.is_empty() {
            return Err(HttpConfigError::NoUrl);
        }
        let urls = config.urls.iter().map(|url| parse_base_url(url));
        Ok(HttpClients(Arc::new(Shared {
            urls: urls.collect::<Result<_, _>>()?,
            http: connections(
                config.connect_timeout,
                &config.headers,
                config.bearer.as_deref(),
            )?,
            index: check_index(&config.index)?,
            timeout: config.timeout.0,
            outcome_header: config.outcome_header.clone(),
            documents,
        })))
    }

    /// The client of process `process`; processes are dealt round the URLs.
    pub fn client(&self, process: u32) -> HttpClient {
        let at = process as usize % self.0.urls.len();
        HttpClient {
            base: self.0.urls[at].clone(),
            shared: self.0.clone(),
        }
    }
}

impl Client for HttpClient {
    async fn invoke(&mut self, operation: &Operation) -> Completion {
        let completion = match operation {
            Operation::Put(writes) => {
                let documents: Vec<_> = writes
                    .iter()
                    .map(|w| self.shared.documents.build(*w))
                    .collect();
                self.timed(self.write(self.post("", &documents))).await
            }
            Operation::Delete(writes) => {
                let ids: Vec<String> = writes.iter().map(|w| document_id(w.key)).collect();
                self.timed(self.write(self.post("delete-batch", &ids)))
                    .await
            }
            Operation::Read { key } => self.timed(self.read(*key)).await,
        };
        completion.unwrap_or_else(|| Completion::Indeterminate {
            error: "timed out".to_owned(),
        })
    }
}

impl HttpClient {
    async fn timed(&self, work: impl Future<Output = Completion>) -> Option<Completion> {
        tokio::time::timeout(self.shared.timeout, work).await.ok()
    }

    fn post(&self, action: &str, body: &impl serde::Serialize) -> reqwest::RequestBuilder {
        let path = ["indexes", &self.shared.index, "documents", action];
        self.shared.http.post(join(&self.base, &path)).json(body)
    }

    async fn write(&self, request: reqwest::RequestBuilder) -> Completion {
        match settle_write(
            exchange(request).await,
            self.shared.outcome_header.as_deref(),
        ) {
            Settled::Now(completion) => completion,
            Settled::ByTask(uid) => self.task(&uid).await,
        }
    }

    /// Waits for a task's end; the caller limits the time.
    async fn task(&self, uid: &str) -> Completion {
        let mut pause = FIRST_POLL;
        loop {
            tokio::time::sleep(pause).await;
            pause = LONGEST_POLL.min(pause * 2);
            let request = self.shared.http.get(join(&self.base, &["tasks", uid]));
            if let Some(completion) = settle_task(exchange(request).await) {
                return completion;
            }
        }
    }

    async fn read(&self, key: i64) -> Completion {
        let path = [
            "indexes",
            &self.shared.index,
            "documents",
            &document_id(key),
        ];
        let answer = exchange(self.shared.http.get(join(&self.base, &path))).await;
        let outcome_header = self.shared.outcome_header.as_deref();
        settle_read(answer, outcome_header, key, &self.shared.documents)
    }
}

/// `base` with these segments added to its path; empty ones are left out.
pub(super) fn join(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("base URLs have the scheme http, so they have a path")
        .pop_if_empty()
        .extend(segments.iter().filter(|segment| !segment.is_empty()));
    url
}
