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
//! Requests are never repeated and redirects never followed. Each process keeps one connection. A
//! request is given to a second connection in one case, when the kept one turned out to be closed
//! before the first byte of the request was handed to it; a request of which anything may have been
//! sent is never sent again, and counts as indeterminate when its connection breaks.
//!
//! With several base URLs a process to which no connection is made, or whose operation times out,
//! goes on with the next URL: its next operation does, never the same one.

mod answer;
mod config;
mod exchange;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::client::{Client, Completion};
use crate::documents::{Documents, document_id};
pub(super) use crate::http::{Answer, Unanswered};
use crate::http::{Front, Request, Wire};
use crate::operation::Operation;

pub(super) use answer::says_no_index;
use answer::{Settled, settle_read, settle_task, settle_write};
use config::headers;
pub use config::{HttpConfig, HttpConfigError};
pub(super) use config::{check_index, connections, parse_base_url};
pub(super) use exchange::exchange;

/// First pause between two looks at a task; doubled after each.
const FIRST_POLL: Duration = Duration::from_millis(2);
/// Longest pause between two looks at a task.
const LONGEST_POLL: Duration = Duration::from_millis(50);

/// Makes the clients of one run.
#[derive(Debug, Clone)]
pub struct HttpClients(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    fronts: Vec<Front>,
    /// Path of the index's documents, below the base URL.
    documents_path: String,
    timeout: Duration,
    connect_timeout: Duration,
    outcome_header: Option<String>,
    documents: Documents,
}

/// The client of one process.
#[derive(Debug)]
pub struct HttpClient {
    shared: Arc<Shared>,
    /// The front node it now speaks to.
    front: usize,
    wire: Wire,
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
        let headers = headers(&config.headers, config.bearer.as_deref())?;
        let fronts = config
            .urls
            .iter()
            .map(|url| Ok(Front::new(&parse_base_url(url)?, headers.clone())));
        let index = check_index(&config.index)?;
        Ok(HttpClients(Arc::new(Shared {
            fronts: fronts.collect::<Result<_, HttpConfigError>>()?,
            documents_path: format!("/indexes/{index}/documents"),
            timeout: config.timeout.0,
            connect_timeout: config.connect_timeout.0,
            outcome_header: config.outcome_header.clone(),
            documents,
        })))
    }

    /// The client of process `process`; processes are dealt round the URLs.
    pub fn client(&self, process: u32) -> HttpClient {
        HttpClient {
            front: process as usize % self.0.fronts.len(),
            shared: self.0.clone(),
            wire: Wire::default(),
        }
    }
}

impl Client for HttpClient {
    async fn invoke(&mut self, operation: &Operation) -> Completion {
        let limit = self.shared.timeout;
        if let Ok(completion) = tokio::time::timeout(limit, self.carry_out(operation)).await {
            return completion;
        }
        self.go_on_elsewhere();
        Completion::Indeterminate {
            error: "timed out".to_owned(),
        }
    }
}

impl HttpClient {
    async fn carry_out(&mut self, operation: &Operation) -> Completion {
        let shared = self.shared.clone();
        let documents = &shared.documents_path;
        match operation {
            Operation::Put(writes) => {
                let built: Vec<_> = writes.iter().map(|w| shared.documents.build(*w)).collect();
                let body = serde_json::to_vec(&built).expect("strings and integers are JSON");
                self.write(self.front().post(documents, body)).await
            }
            Operation::Delete(writes) => {
                let ids: Vec<String> = writes.iter().map(|w| document_id(w.key)).collect();
                let body = serde_json::to_vec(&ids).expect("strings are JSON");
                let path = format!("{documents}/delete-batch");
                self.write(self.front().post(&path, body)).await
            }
            Operation::Read { key } => {
                let path = format!("{documents}/{}", document_id(*key));
                let answer = self.exchange(self.front().get(&path)).await;
                let outcome_header = shared.outcome_header.as_deref();
                settle_read(answer, outcome_header, *key, &shared.documents)
            }
        }
    }

    fn front(&self) -> &Front {
        &self.shared.fronts[self.front]
    }

    /// The next operation goes to the next front node, over a new connection.
    fn go_on_elsewhere(&mut self) {
        self.wire.close();
        self.front = (self.front + 1) % self.shared.fronts.len();
    }

    async fn exchange(&mut self, request: Request) -> Result<Answer, Unanswered> {
        let shared = self.shared.clone();
        let front = &shared.fronts[self.front];
        let answer = (self.wire).exchange(front, request, shared.connect_timeout);
        let answer = answer.await;
        if matches!(&answer, Err(no) if no.unsent) {
            self.go_on_elsewhere();
        }
        answer
    }

    async fn write(&mut self, request: Request) -> Completion {
        let answer = self.exchange(request).await;
        match settle_write(answer, self.shared.outcome_header.as_deref()) {
            Settled::Now(completion) => completion,
            Settled::ByTask(uid) => self.task(&uid).await,
        }
    }

    /// Waits for a task's end; the caller limits the time.
    async fn task(&mut self, uid: &str) -> Completion {
        let mut pause = FIRST_POLL;
        loop {
            tokio::time::sleep(pause).await;
            pause = LONGEST_POLL.min(pause * 2);
            let path = format!("/tasks/{}", segment(uid));
            if let Some(completion) = settle_task(self.exchange(self.front().get(&path)).await) {
                return completion;
            }
        }
    }
}

/// Text as one segment of a path. Systems in front of several nodes have names of their own for tasks.
fn segment(text: &str) -> String {
    let mut segment = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_task_fits_a_path() {
        assert_eq!(segment("a-1"), "a-1");
        assert_eq!(segment("n1/7 \u{e9}"), "n1%2F7%20%C3%A9");
    }
}
