//! What a final read saw: one row per document and source, and a row that proves the source was read to its end.

use serde::{Deserialize, Serialize};

/// Where a document was found, relative to the placement the system itself reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Read through the system's front door: placement does not apply.
    Routed,
    /// On a node that owns the document's shard.
    Owner,
    /// On a node that owned the shard before a migration.
    FormerOwner,
    /// On a node that never owned the shard.
    Stranger,
    /// On a node that is about to own the shard: a copy in the making, of which nothing is expected yet.
    Joining,
}

/// What a source said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The document is there with this version and an intact checksum.
    Version {
        /// Its key.
        key: i64,
        /// The version found.
        version: i64,
    },
    /// The document is not there (only from sources that are asked by key).
    Absent {
        /// Its key.
        key: i64,
    },
    /// The document is there but its checksum or form is wrong.
    Corrupt {
        /// Its key.
        key: i64,
        /// What is wrong.
        detail: String,
    },
    /// A document whose id no workload of this run could have written.
    Foreign {
        /// Its id as found.
        id: String,
    },
    /// The source was read to its end; without this row the read counts as incomplete.
    End,
    /// The source could not be read to its end.
    Failed {
        /// Why.
        error: String,
    },
}

/// One row of a final read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Index into the list of source names kept by the observation file (`router`, `n2`, ...).
    pub source: u16,
    /// Relative to the placement the system reports.
    pub placement: Placement,
    /// What was seen.
    pub seen: Seen,
}
