//! What can go wrong between results and reports.

use std::path::PathBuf;

use thiserror::Error;

/// A report or a results file could not be read, rendered or written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written, or its directory not made.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no results file of this schema.
    #[error("{} is not a results file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, column and what was expected.
        source: serde_json::Error,
    },
    /// The file was written by a newer Shakedown.
    #[error(
        "{} has results schema {found} (written by shakedown {written_by}), but this version reads at most {supported}: use a newer shakedown",
        path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// Version of Shakedown that wrote it, as far as it says.
        written_by: String,
        /// The newest schema version read here.
        supported: u32,
    },
    /// The results could not be serialised.
    #[error("cannot serialise the results")]
    Serialise(#[from] serde_json::Error),
    /// The report's template failed.
    #[error("cannot render the report")]
    Template(#[from] minijinja::Error),
    /// The JUnit document could not be written.
    #[error("cannot write JUnit XML")]
    Junit(#[source] quick_junit::SerializeError),
}
