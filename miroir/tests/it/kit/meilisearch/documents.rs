//! An index's documents: added, merged and removed by primary key.

use serde_json::Value;

use super::{Document, Index};

impl Index {
    /// Adds documents, or none of them.
    pub(super) fn add(
        &mut self,
        documents: &[Document],
        merge: bool,
        primary_key: Option<&String>,
    ) -> Result<(), (&'static str, String)> {
        let key = match (&self.primary_key, primary_key) {
            (Some(key), Some(other)) if key != other => {
                let message = format!("the primary key is `{key}`");
                return Err(("index_primary_key_already_exists", message));
            }
            (Some(key), _) | (None, Some(key)) => key.clone(),
            (None, None) => {
                let message = "there is no primary key".to_owned();
                return Err(("index_primary_key_no_candidate_found", message));
            }
        };
        let ids = documents
            .iter()
            .map(|d| external(d, &key))
            .collect::<Result<Vec<_>, _>>()?;
        for (document, id) in documents.iter().zip(ids) {
            let number = match self.numbers.get(&id) {
                Some(&number) => number,
                None => {
                    let next = u32::try_from(self.numbers.len()).unwrap();
                    self.free.pop_first().unwrap_or(next)
                }
            };
            self.numbers.insert(id, number);
            let slot = self.documents.entry(number).or_default();
            if !merge {
                slot.clear();
            }
            slot.extend(document.clone());
        }
        self.primary_key = Some(key);
        Ok(())
    }

    /// Removes a document by its internal number.
    pub(super) fn remove(&mut self, number: u32) {
        self.documents.remove(&number);
        self.numbers.retain(|_, n| *n != number);
        self.free.insert(number);
    }
}

fn external(document: &Document, key: &str) -> Result<String, (&'static str, String)> {
    let id = match document.get(key) {
        None => return Err(("missing_document_id", format!("a document has no `{key}`"))),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Number(n)) if !n.is_f64() => n.to_string(),
        Some(other) => return Err(("invalid_document_id", other.to_string())),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=511).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(id)
    } else {
        Err(("invalid_document_id", id))
    }
}
