//! Carrying records over to a Meilisearch: it would take anything, so this side compares first.

use std::collections::{BTreeMap, HashMap};

use super::super::operations::{PeerError, Stamped};
use super::rank::Rank;
use super::tombstone::document_of;
use super::{LOCKED, Meilisearch, ids_of};
use crate::wire::document::Document;

impl Meilisearch {
    /// Applies records that are not older than what the node holds, under their keys' locks. Answers how many.
    pub(in crate::peer) async fn carry(
        &self,
        index: &str,
        records: Stamped,
    ) -> Result<u64, PeerError> {
        let mut applied = 0;
        let mut carried = records.documents;
        carried.extend(records.tombstones.iter().map(document_of));
        for chunk in carried.chunks(LOCKED) {
            let ids = ids_of(chunk);
            let _locks = self.locks.lock(ids.iter().map(String::as_str)).await;
            self.settle(index).await?;
            let held = self.ranks(index, &ids).await?;
            let mut newer = BTreeMap::new();
            for document in chunk {
                let (id, rank) = self.ranked(document)?;
                if held.get(&id).is_none_or(|held| rank > *held) {
                    newer.insert(id, (rank, document.clone()));
                }
            }
            if newer.is_empty() {
                continue;
            }
            let documents: Vec<Document> = newer.values().map(|(_, d)| d.clone()).collect();
            self.store(index, &documents).await?;
            self.verify(index, &newer).await?;
            applied += newer.len() as u64;
        }
        Ok(applied)
    }

    /// Reads back what was written: whoever compares copies would find a record that comes back changed for ever.
    async fn verify(
        &self,
        index: &str,
        written: &BTreeMap<String, (Rank, Document)>,
    ) -> Result<(), PeerError> {
        let ids: Vec<String> = written.keys().cloned().collect();
        let held = self.ranks(index, &ids).await?;
        let lost = written
            .iter()
            .find(|(id, (rank, _))| held.get(*id).is_none_or(|held| held < rank));
        match lost {
            None => Ok(()),
            Some((id, _)) => Err(PeerError::Answer {
                node: self.api.node.clone(),
                status: 500,
                code: "record_not_kept".to_owned(),
                message: format!("`{id}` does not come back as it was written"),
            }),
        }
    }

    /// Ranks of what the node holds.
    async fn ranks(&self, index: &str, ids: &[String]) -> Result<HashMap<String, Rank>, PeerError> {
        let found = self.documents(index, ids).await?;
        found.iter().map(|d| self.ranked(d)).collect()
    }
}
