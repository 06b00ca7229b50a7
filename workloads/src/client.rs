//! What a client can do, and what its answers mean.

use crate::operation::Operation;

/// How an operation ended. A client that is not certain says `Indeterminate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// It happened; the response was read in full. For reads: the version seen, `None` for absent.
    Done {
        /// Version seen by a read.
        seen: Option<i64>,
    },
    /// A read was answered in full, but what it returned is not a document that was written.
    Corrupt {
        /// What is wrong with it.
        detail: String,
    },
    /// It certainly did not happen, and never will.
    Failed {
        /// Why, short and without variable parts.
        error: String,
    },
    /// It may have happened, or may yet.
    Indeterminate {
        /// Why, short and without variable parts.
        error: String,
    },
}

/// A protocol client; one per process, never shared.
pub trait Client: Send + 'static {
    /// Carries out one operation. Must return within the client's own time-out.
    fn invoke(&mut self, operation: &Operation) -> impl Future<Output = Completion> + Send;
}
