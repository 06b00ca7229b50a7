//! Why a foreign history could not be read.

use std::path::PathBuf;

use crate::history::HistoryError;

/// Characters of a reason that are kept: it may quote a line of any length.
const LONGEST: usize = 300;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// The line, from 1; in Arrow files the event.
    pub line: u64,
    /// What is wrong there.
    pub reason: String,
    /// What kind of thing is wrong.
    pub problem: Problem,
}

/// Kinds of things that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It makes no sense.
    Malformed,
    /// Nothing but that the input ends there: what comes before is whole.
    CutOff,
    /// It takes more memory than it may.
    TooLarge,
}

impl ImportError {
    pub(crate) fn new(line: u64, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if let Some((at, _)) = reason.char_indices().nth(LONGEST) {
            reason.truncate(at);
            reason.push('…');
        }
        ImportError {
            line,
            reason,
            problem: Problem::Malformed,
        }
    }

    pub(super) fn cut_off(line: u64, reason: impl Into<String>) -> Self {
        ImportError {
            problem: Problem::CutOff,
            ..ImportError::new(line, reason)
        }
    }

    pub(super) fn too_large(line: u64) -> Self {
        ImportError {
            problem: Problem::TooLarge,
            ..ImportError::new(line, "the memory limit is reached")
        }
    }
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused, or a compressed file is damaged.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `open`, `read`, `decompress`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It is none of the formats.
    #[error(
        "{path} is in no format known here: it begins with {begins:?} (--format says which it is)"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        begins: String,
    },
    /// Something in it makes no sense.
    #[error("{path}: {unit} {line}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is counted: `line`, or `event` where there are no lines.
        unit: &'static str,
        /// Which, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be held in the memory allowed.
    #[error("{path} takes more than the memory limit of {limit_bytes} bytes")]
    Memory {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit_bytes: usize,
    },
    /// An Arrow history could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
}
