//! Clients whose documents have known permissible states: one writer a key, versions that count up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// What may be found of a document: versions, or `None` for absent.
pub(crate) type Permissible = BTreeSet<Option<u64>>;

/// What writers know about their documents.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    pub(crate) documents: BTreeMap<String, Permissible>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
}

/// Where documents differ from what is permissible.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) lost: BTreeSet<String>,
    pub(crate) stale: BTreeSet<String>,
    pub(crate) resurrected: BTreeSet<String>,
}

/// Writers that go on until told to end.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<Known>>,
}

impl Load {
    /// Each writer inserts, updates and deletes documents of its own.
    pub(crate) fn start(http: &reqwest::Client, router: &str, writers: usize) -> Self {
        Self::start_as(http, router, writers, "w")
    }

    /// The same with documents whose keys begin with `name`.
    pub(crate) fn start_as(
        http: &reqwest::Client,
        router: &str,
        writers: usize,
        name: &'static str,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |writer| {
            tokio::spawn(write(
                http.clone(),
                router.to_owned(),
                format!("{name}{writer}"),
                Arc::clone(&stop),
            ))
        };
        Load {
            writers: (0..writers).map(spawn).collect(),
            stop,
        }
    }

    /// Ends all writers and puts together what they know.
    pub(crate) async fn end(self) -> Known {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Known::default();
        for writer in self.writers {
            all.merge(writer.await.unwrap());
        }
        all
    }
}

impl Known {
    pub(crate) fn merge(&mut self, other: Known) {
        self.documents.extend(other.documents);
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
    }

    /// Sends one write and learns from its answer.
    pub(crate) async fn send(
        &mut self,
        http: &reqwest::Client,
        router: &str,
        id: &str,
        version: Option<u64>,
    ) {
        let request = match version {
            Some(v) => http
                .post(format!("http://{router}/indexes/docs/documents"))
                .json(&json!([{"id": id, "version": v, "text": format!("text {v} of {id}")}])),
            None => http.delete(format!("http://{router}/indexes/docs/documents/{id}")),
        };
        let states = self
            .documents
            .entry(id.to_owned())
            .or_insert_with(|| BTreeSet::from([None]));
        match request.send().await {
            Ok(answer) if answer.status() == 202 => {
                self.acknowledged += 1;
                *states = BTreeSet::from([version]);
            }
            Ok(answer)
                if answer
                    .headers()
                    .get("x-miroir-outcome")
                    .is_some_and(|o| o == "none") =>
            {
                self.refused += 1
            }
            _ => {
                self.unknown += 1;
                states.insert(version);
            }
        }
    }

    /// Compares with what the router answers.
    pub(crate) async fn damage(&self, http: &reqwest::Client, router: &str) -> Damage {
        let ids: Vec<&String> = self.documents.keys().collect();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for ids in ids.chunks(5000) {
            let url = format!("http://{router}/indexes/docs/documents/fetch");
            let answer: Value = http
                .post(url)
                .json(&json!({"ids": ids}))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            for document in answer["results"].as_array().unwrap() {
                assert!(
                    document
                        .as_object()
                        .unwrap()
                        .keys()
                        .all(|k| !k.starts_with("_miroir_"))
                );
                let version = document["version"].as_u64().unwrap();
                let id = document["id"].as_str().unwrap();
                assert_eq!(document["text"], format!("text {version} of {id}"));
                found.insert(id.to_owned(), version);
            }
        }
        let mut damage = Damage::default();
        for (id, permissible) in &self.documents {
            let seen = found.get(id).copied();
            if permissible.contains(&seen) {
                continue;
            }
            let kind = match seen {
                None => &mut damage.lost,
                Some(_) if permissible.iter().all(Option::is_none) => &mut damage.resurrected,
                Some(_) => &mut damage.stale,
            };
            kind.insert(id.clone());
        }
        damage
    }

    pub(crate) async fn assert_intact(&self, http: &reqwest::Client, router: &str) {
        assert!(self.acknowledged > 0, "nothing was written");
        assert_eq!(self.damage(http, router).await, Damage::default());
    }
}

/// Writes `count` documents in batches, all of which must be acknowledged.
pub(crate) async fn preload(http: &reqwest::Client, router: &str, count: usize) -> Known {
    let mut known = Known::default();
    let ids: Vec<String> = (0..count).map(|i| format!("pre-{i}")).collect();
    for ids in ids.chunks(500) {
        let batch: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "version": 1, "text": format!("text 1 of {id}")}))
            .collect();
        let answer = http
            .post(format!("http://{router}/indexes/docs/documents"))
            .json(&batch)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 202);
        known.acknowledged += ids.len() as u64;
        known
            .documents
            .extend(ids.iter().map(|id| (id.clone(), BTreeSet::from([Some(1)]))));
    }
    known
}

async fn write(
    http: reqwest::Client,
    router: String,
    writer: String,
    stop: Arc<AtomicBool>,
) -> Known {
    let mut known = Known::default();
    let mut n = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        // Every third document is updated, every fifth deleted; the others stay as inserted.
        let fresh = format!("{writer}-{n}");
        known.send(&http, &router, &fresh, Some(1)).await;
        if n.is_multiple_of(3) {
            known
                .send(&http, &router, &format!("{writer}-{}", n / 2), Some(n))
                .await;
        }
        if n.is_multiple_of(5) {
            known
                .send(&http, &router, &format!("{writer}-{}", n - 2), None)
                .await;
        }
    }
    known
}
