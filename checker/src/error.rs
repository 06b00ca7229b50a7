//! Why a history could not be judged.

use crate::history::HistoryError;
use crate::windows::WindowError;

/// Why a checker gave up. None of these is a verdict.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file could not be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A window mark makes no sense.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// An event breaks the rules of a history.
    #[error("operation {op} ({f}) {problem}")]
    Malformed {
        /// The operation.
        op: u64,
        /// Its function.
        f: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The history has more writes than the checker can number.
    #[error("more than {0} writes in one history")]
    TooManyWrites(u32),
    /// An observation names a source outside the list of sources.
    #[error("an observation of source {index}, but there are only {sources}")]
    UnknownSource {
        /// The index.
        index: u16,
        /// How many sources there are.
        sources: usize,
    },
    /// The metadata of the observations say until when the history counts, but not as a number.
    #[error("the observations' {key} is not a number of nanoseconds: {found}")]
    BadUntil {
        /// The metadata key.
        key: &'static str,
        /// Its value.
        found: String,
    },
}

impl CheckError {
    /// An operation completes that is not open.
    pub(crate) fn not_open(op: u64, f: &str) -> Self {
        CheckError::Malformed {
            op,
            f: f.to_owned(),
            problem: "completes without being open",
        }
    }
}
