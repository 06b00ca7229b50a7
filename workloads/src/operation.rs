//! What a client is asked to do.

/// One request of the documents workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Insert or replace documents; more than one is a batch.
    Put(Vec<Write>),
    /// Delete documents; more than one is a batch.
    Delete(Vec<Write>),
    /// Read one document.
    Read {
        /// Its key.
        key: i64,
    },
}

/// One document's part in a write: its key and the version this write gives it (deletes have versions, too).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: i64,
    /// 1 for a key's first write, then one more for each.
    pub version: i64,
}
