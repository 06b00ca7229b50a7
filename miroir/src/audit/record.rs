//! Lines of the audit log.

use serde::{Deserialize, Serialize};

/// A client write to a moving shard, after OLD and NEW have settled. One per document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DualWrite {
    /// Primary key.
    pub(crate) id: String,
    /// Its shard.
    pub(crate) shard: u32,
    /// The write's stamp.
    pub(crate) stamp: u64,
    /// Whether a quorum of the OLD owners acknowledged, so that the client was told of success.
    pub(crate) old_ok: bool,
    /// Commit on OLD.
    pub(crate) old_seq: Option<u64>,
    /// Whether NEW acknowledged.
    pub(crate) new_ok: bool,
    /// Whether it is a delete.
    pub(crate) delete: bool,
    /// Whether OLD held a live document just before.
    pub(crate) old_had: bool,
    /// Why OLD failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old_failure: Option<String>,
    /// False if OLD failed but may have applied it.
    pub(crate) old_certain: bool,
    /// Why NEW failed: `refused`, `reset`, `timeout`, `broken`, `abandoned`, `not_sent`, or its error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new_failure: Option<String>,
    /// False if NEW failed but may have applied it.
    pub(crate) new_certain: bool,
    /// The migration.
    pub(crate) migration: u64,
}

/// A page of the background copy, after NEW accepted it: everything OLD held in `(after, last]` at commit `seq`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CopiedPage {
    /// Its shard.
    pub(crate) shard: u32,
    /// The page starts behind this key; `None` at the beginning of the shard.
    pub(crate) after: Option<String>,
    /// First key in it.
    pub(crate) first: Option<String>,
    /// Last key in it.
    pub(crate) last: Option<String>,
    /// Commit of OLD it was read at.
    pub(crate) seq: u64,
    /// Documents in it.
    pub(crate) docs: u64,
    /// Whether it goes to the end of the shard, whatever `last` is.
    pub(crate) end: bool,
    /// The migration.
    pub(crate) migration: u64,
}

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Line {
    /// A dual write.
    #[serde(rename = "w")]
    Write(DualWrite),
    /// A copied page.
    #[serde(rename = "page")]
    Page(CopiedPage),
    /// The migration was given up: nothing of it follows any more.
    #[serde(rename = "given_up")]
    GivenUp {
        /// The migration.
        migration: u64,
    },
}
