//! Why a foreign history could not be read.

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong there.
    pub reason: String,
}

impl ImportError {
    pub(super) fn new(line: u64, reason: impl Into<String>) -> Self {
        ImportError {
            line,
            reason: reason.into(),
        }
    }
}
