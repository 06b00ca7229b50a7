//! Reads back what the system kept: through its front door, and from each storage node.
//!
//! Each source ends with one row: [`Seen::End`] if it was read in full, else [`Seen::Failed`] with
//! the reason. Nothing may write while final reads are made.
//!
//! [`Seen::End`]: shakedown_checker::history::Seen::End
//! [`Seen::Failed`]: shakedown_checker::history::Seen::Failed

mod ask;
mod direct;
mod placement;
mod routed;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use shakedown_checker::history::Seen;

use crate::documents::http::{HttpConfigError, check_index, connections};
use crate::documents::{Documents, Unfit};
use crate::duration::HumanDuration;

pub use ask::ReadError;
pub use placement::{NodePlacement, PlacementTable, ShardPlacement};

/// How final reads are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalReadConfig {
    /// Name of the index.
    pub index: String,
    /// Longest time for one request.
    pub timeout: Duration,
    /// How often a request is made before its source counts as unreadable, with pauses that grow
    /// from 100 ms to 2 s; at least 1.
    pub attempts: u32,
    /// Sent with each request.
    pub headers: BTreeMap<String, String>,
    /// Sent with each request as `Authorization: Bearer`.
    pub bearer: Option<String>,
}

impl Default for FinalReadConfig {
    /// Index `documents`, 10 s a request, 8 attempts (about 9 s of pauses), no headers.
    fn default() -> Self {
        FinalReadConfig {
            index: "documents".to_owned(),
            timeout: Duration::from_secs(10),
            attempts: 8,
            headers: BTreeMap::new(),
            bearer: None,
        }
    }
}

/// Makes final reads.
#[derive(Debug, Clone)]
pub struct FinalReader {
    http: reqwest::Client,
    index: String,
    timeout: Duration,
    attempts: u32,
    documents: Documents,
}

impl FinalReader {
    /// A reader that expects these documents.
    ///
    /// # Errors
    /// If the index name or a header does not make sense.
    pub fn new(config: &FinalReadConfig, documents: Documents) -> Result<Self, HttpConfigError> {
        let connect_timeout = HumanDuration(config.timeout);
        Ok(FinalReader {
            http: connections(connect_timeout, &config.headers, config.bearer.as_deref())?,
            index: check_index(&config.index)?,
            timeout: config.timeout,
            attempts: config.attempts.max(1),
            documents,
        })
    }

    /// What a document found anywhere is.
    fn judge(&self, document: &Value) -> Seen {
        match self.documents.verify(document) {
            Ok((key, version)) => Seen::Version { key, version },
            Err(Unfit::Foreign { id }) => Seen::Foreign { id },
            Err(Unfit::Corrupt { key, detail }) => Seen::Corrupt {
                key,
                detail: detail.to_owned(),
            },
        }
    }
}
