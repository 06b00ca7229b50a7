//! A stand-in for a Meilisearch v1: the documented endpoints for documents, tasks, indexes and filterable attributes,
//! as a real HTTP server with a queue of tasks that are carried out later. Strict: what is not documented is refused.

mod documents;
mod filter;
mod http;
mod queue;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

pub(crate) type Document = Map<String, Value>;

/// The key it wants.
pub(crate) const KEY: &str = "a-key-of-sixteen-bytes";

/// A running stand-in; it ends with the test's runtime.
pub(crate) struct Meilisearch {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

/// What its handlers and its worker share.
struct Shared {
    state: Mutex<State>,
    /// How long the worker waits before each batch, in milliseconds.
    delay_ms: AtomicU64,
    /// How late answers of `documents/fetch` are, in milliseconds: they are of the past when they come.
    late_ms: AtomicU64,
    /// How late every other addition of documents is accepted, in milliseconds.
    stall_ms: AtomicU64,
    additions: AtomicU64,
    /// Whether tasks that add documents fail.
    failing: AtomicBool,
    /// Whether `documents/fetch` knows `ids`, as it does since v1.14.
    fetches_ids: bool,
}

#[derive(Default)]
struct State {
    indexes: BTreeMap<String, Index>,
    tasks: Vec<Task>,
}

#[derive(Default)]
struct Index {
    primary_key: Option<String>,
    filterable: Vec<Value>,
    /// By internal number.
    documents: BTreeMap<u32, Document>,
    /// Internal numbers by primary key.
    numbers: BTreeMap<String, u32>,
    /// Numbers of deleted documents, to be used again.
    free: BTreeSet<u32>,
}

struct Task {
    index: String,
    status: &'static str,
    work: Work,
    error: Option<(&'static str, String)>,
    deleted: Option<usize>,
}

/// What a task is to do.
#[derive(Clone)]
enum Work {
    CreateIndex(Option<String>),
    SetPrimaryKey(String),
    SetFilterable(Vec<Value>),
    Add {
        documents: Vec<Document>,
        merge: bool,
        primary_key: Option<String>,
    },
    DeleteIds(Vec<String>),
    DeleteFilter(Value),
}

impl Meilisearch {
    /// One of a recent version.
    pub(crate) async fn start() -> Self {
        Self::launch(true).await
    }

    /// One that is older than v1.14.
    pub(crate) async fn start_old() -> Self {
        Self::launch(false).await
    }

    async fn launch(fetches_ids: bool) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            delay_ms: AtomicU64::new(1),
            late_ms: AtomicU64::new(0),
            stall_ms: AtomicU64::new(0),
            additions: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            fetches_ids,
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = http::routes(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await });
        tokio::spawn(queue::work(Arc::clone(&shared)));
        Meilisearch { address, shared }
    }

    pub(crate) fn delay_ms(&self, ms: u64) {
        self.shared.delay_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn late_ms(&self, ms: u64) {
        self.shared.late_ms.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn stall_every_other_ms(&self, ms: u64) {
        self.shared.stall_ms.store(ms, Ordering::Relaxed);
    }

    /// From now on, tasks that add documents fail or no longer do.
    pub(crate) fn fail(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::Relaxed);
    }

    /// Loses all indexes.
    pub(crate) fn forget_everything(&self) {
        self.shared.state.lock().unwrap().indexes.clear();
    }
}
