//! The read of one storage node: everything it has, page by page.

use reqwest::Url;
use serde_json::Value;
use shakedown_checker::history::{Observation, Placement, Seen};

use super::routed::failed;
use super::{FinalReader, NodePlacement, ReadError};
use crate::documents::http::{join, parse_base_url};

/// Documents in a page.
const PAGE: usize = 1_000;
/// How often a listing is begun anew because documents came or went under it.
const LISTINGS: u32 = 5;

/// A document found, or rather what matters of it.
type Found = (Placement, Seen);

/// One page, and how many documents the node says it has in all.
struct Page {
    found: Vec<Found>,
    total: Option<u64>,
}

impl FinalReader {
    /// Lists all documents of the node at `base_url` and emits one row for each, then the closing
    /// row. Without a placement each counts as being on its owner.
    ///
    /// Pages are counted from the start, so a document that goes away between two pages would make
    /// another be skipped: the listing is kept in memory, and begun anew if the total changes, if
    /// fewer or more documents come than the total says, or if a key comes twice.
    ///
    /// # Errors
    /// Only those of `emit`; what goes wrong with the node is in the closing row.
    pub async fn direct<E>(
        &self,
        source: u16,
        base_url: &str,
        placement: Option<&NodePlacement>,
        mut emit: impl FnMut(Observation) -> Result<(), E>,
    ) -> Result<(), E> {
        let (found, last) = match self.list(base_url, placement).await {
            Ok(found) => (found, Seen::End),
            Err(error) => (Vec::new(), failed(&error)),
        };
        // The closing row's placement says nothing.
        let rows = found.into_iter().chain([(Placement::Owner, last)]);
        for (placement, seen) in rows {
            emit(Observation {
                source,
                placement,
                seen,
            })?;
        }
        Ok(())
    }

    async fn list(
        &self,
        base_url: &str,
        placement: Option<&NodePlacement>,
    ) -> Result<Vec<Found>, ReadError> {
        let base = parse_base_url(base_url)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.list_once(&base, placement).await? {
                Ok(found) => return Ok(found),
                Err(reason) if attempts >= LISTINGS => {
                    return Err(ReadError::Moving { reason, attempts });
                }
                Err(_) => {}
            }
        }
    }

    /// The inner error says that the listing moved.
    async fn list_once(
        &self,
        base: &Url,
        placement: Option<&NodePlacement>,
    ) -> Result<Result<Vec<Found>, String>, ReadError> {
        let mut all: Vec<Found> = Vec::new();
        let mut first_total = None;
        loop {
            let page = self.page(base, all.len(), placement).await?;
            let last = page.found.is_empty();
            all.extend(page.found);
            let Some(total) = page.total else {
                if last {
                    break;
                }
                continue;
            };
            let first = *first_total.get_or_insert(total);
            if first != total {
                return Ok(Err(format!("{first} documents, then {total}")));
            }
            if last && all.len() as u64 != total {
                return Ok(Err(format!("{total} documents, but {} listed", all.len())));
            }
            if last {
                break;
            }
        }
        Ok(match repeated_key(&all) {
            Some(key) => Err(format!("key {key} was listed twice")),
            None => Ok(all),
        })
    }

    async fn page(
        &self,
        base: &Url,
        offset: usize,
        placement: Option<&NodePlacement>,
    ) -> Result<Page, ReadError> {
        let mut url = join(base, &["indexes", &self.index, "documents"]);
        url.set_query(Some(&format!("limit={PAGE}&offset={offset}")));
        let name = format!("GET {url}");
        let Some(body) = self.ask(&name, |http| http.get(url.clone())).await? else {
            return Ok(Page {
                found: Vec::new(),
                total: Some(0),
            });
        };
        let documents = body.get("results").and_then(Value::as_array);
        let documents = documents.ok_or_else(|| ReadError::Form {
            request: name,
            reason: "the answer has no results".to_owned(),
        })?;
        let place = |document| placement.map_or(Placement::Owner, |table| table.of(document));
        let found = documents
            .iter()
            .map(|document| (place(document), self.judge(document)));
        Ok(Page {
            found: found.collect(),
            total: body.get("total").and_then(Value::as_u64),
        })
    }
}

fn repeated_key(found: &[Found]) -> Option<i64> {
    let keys = found.iter().filter_map(|(_, seen)| match seen {
        Seen::Version { key, .. } | Seen::Corrupt { key, .. } => Some(*key),
        _ => None,
    });
    let mut keys: Vec<i64> = keys.collect();
    keys.sort_unstable();
    keys.windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}
