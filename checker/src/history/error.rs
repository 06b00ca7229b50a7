//! What can go wrong with a history or observation file.

use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;

/// Why a history could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `create`, `write`, `read`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// The directory already holds a history; it is never overwritten.
    #[error("{0} already holds a history")]
    Exists(PathBuf),
    /// The directory holds no segment.
    #[error("{0} holds no history")]
    Empty(PathBuf),
    /// The file has another layout or format version.
    #[error("{path} is not in the format {expected}: {found}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The format this version reads.
        expected: &'static str,
        /// What it is instead.
        found: String,
    },
    /// The file is damaged before its end.
    #[error("{path} is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the message that does not decode begins.
        offset: u64,
        /// What does not hold there.
        reason: String,
    },
    /// A batch could not be encoded.
    #[error("cannot encode a batch for {path}: {source}")]
    Encode {
        /// The file it was meant for.
        path: PathBuf,
        /// Arrow's reason.
        source: ArrowError,
    },
    /// An earlier write failed, so the file ends in the middle of a batch and must not be continued.
    #[error("{0} cannot be continued after a failed write")]
    Broken(PathBuf),
    /// More distinct names than the format's dictionary can hold.
    #[error("more than {limit} different values of {column}")]
    DictionaryFull {
        /// The column.
        column: &'static str,
        /// How many it can hold.
        limit: usize,
    },
    /// A line of JSON lines is not an event.
    #[error("line {line} is not an event: {source}")]
    Json {
        /// Its number, from 1.
        line: u64,
        /// Why not.
        source: serde_json::Error,
    },
    /// An observation names a source that was not declared.
    #[error("source {index} of an observation is not among the {known} declared sources")]
    UnknownSource {
        /// The index.
        index: u16,
        /// How many were declared.
        known: usize,
    },
}

impl HistoryError {
    /// Adds what was done to which file to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| HistoryError::Io {
            action,
            path,
            source,
        }
    }

    /// Sorts an error of the Arrow writer: I/O, or a batch that cannot be encoded.
    pub(crate) fn arrow(path: &Path, source: ArrowError) -> Self {
        match source {
            ArrowError::IoError(_, source) => HistoryError::Io {
                action: "write",
                path: path.to_owned(),
                source,
            },
            source => HistoryError::Encode {
                path: path.to_owned(),
                source,
            },
        }
    }
}
