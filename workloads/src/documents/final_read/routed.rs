//! The read through the front door: every key ever allocated is asked for.

use std::collections::BTreeSet;

use reqwest::Url;
use serde_json::{Value, json};
use shakedown_checker::history::{Observation, Placement, Seen};
use tokio::task::JoinSet;

use super::{FinalReader, ReadError};
use crate::documents::document_id;
use crate::documents::http::{join, parse_base_url};

/// Keys asked for in one request.
const CHUNK: usize = 500;
/// Requests under way at once.
const CONCURRENCY: usize = 8;

impl FinalReader {
    /// Asks the system at `base_url` for every key of `keys` and emits one row for each (more, if
    /// the system has several documents for it), then the closing row. Rows are in no order.
    ///
    /// # Errors
    /// Only those of `emit`; what goes wrong with the system is in the closing row.
    pub async fn routed<E>(
        &self,
        source: u16,
        base_url: &str,
        keys: &[i64],
        mut emit: impl FnMut(Observation) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut emit = |seen| {
            emit(Observation {
                source,
                placement: Placement::Routed,
                seen,
            })
        };
        let base = match parse_base_url(base_url) {
            Ok(base) => base,
            Err(error) => return emit(failed(&error)),
        };
        let mut chunks = keys.chunks(CHUNK);
        let mut requests = JoinSet::new();
        loop {
            while requests.len() < CONCURRENCY
                && let Some(chunk) = chunks.next()
            {
                let (reader, base, mut chunk) = (self.clone(), base.clone(), chunk.to_vec());
                chunk.sort_unstable();
                requests.spawn(async move { reader.fetch(&base, &chunk).await });
            }
            match requests.join_next().await {
                None => return emit(Seen::End),
                Some(Ok(Ok(rows))) => rows.into_iter().try_for_each(&mut emit)?,
                Some(Ok(Err(error))) => return emit(failed(&error)),
                Some(Err(join)) => std::panic::resume_unwind(join.into_panic()),
            }
        }
    }

    /// Asks for `keys`, which are sorted.
    async fn fetch(&self, base: &Url, keys: &[i64]) -> Result<Vec<Seen>, ReadError> {
        let url = join(base, &["indexes", &self.index, "documents", "fetch"]);
        let ids: Vec<String> = keys.iter().map(|key| document_id(*key)).collect();
        let body = json!({ "ids": ids, "limit": keys.len() });
        let name = format!("POST {url}");
        let answer = self
            .ask(&name, |http| http.post(url.clone()).json(&body))
            .await?;
        let form = |reason: String| ReadError::Form {
            request: name.clone(),
            reason,
        };
        let documents = match &answer {
            None => &[],
            Some(body) => body
                .get("results")
                .and_then(Value::as_array)
                .ok_or_else(|| form("the answer has no results".to_owned()))?
                .as_slice(),
        };
        let mut missing: BTreeSet<i64> = keys.iter().copied().collect();
        let mut rows = Vec::with_capacity(keys.len());
        for document in documents {
            let seen = self.judge(document);
            if let Seen::Version { key, .. } | Seen::Corrupt { key, .. } = seen {
                if keys.binary_search(&key).is_err() {
                    let id = document_id(key);
                    return Err(form(format!("{id} is in the answer but was not asked for")));
                }
                missing.remove(&key);
            }
            rows.push(seen);
        }
        rows.extend(missing.into_iter().map(|key| Seen::Absent { key }));
        Ok(rows)
    }
}

pub(super) fn failed(error: &dyn std::fmt::Display) -> Seen {
    Seen::Failed {
        error: error.to_string(),
    }
}
