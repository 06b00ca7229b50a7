//! What a run saw that stands in no other of its files: kept beside them, so that it can be judged again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::clients::ObjectsSeen;

/// File name within a scenario's directory.
const FILE_NAME: &str = "observed.json";

/// Seen while a scenario ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Observed {
    /// Captured outputs by name.
    pub(crate) captures: BTreeMap<String, String>,
    /// Names the system reported, by lane (`phase`, ...).
    pub(crate) marks: BTreeMap<String, BTreeSet<String>>,
    /// Items that never began or never ended.
    pub(crate) unfinished: Vec<String>,
    /// Documents the system's records say were in danger; `None` if it keeps no such records.
    pub(crate) endangered: Option<u64>,
    /// Services that were gone at the end though no fault was to leave them so; `None` in records of older versions.
    #[serde(default)]
    pub(crate) died: Option<Vec<String>>,
    /// What the last reads of a workload on objects showed; `None` without one, and if they were never made.
    #[serde(default)]
    pub(crate) objects: Option<ObjectsSeen>,
    /// Why the system did not come back after its faults; `None` if it did, or cannot tell.
    pub(crate) not_recovered: Option<String>,
}

/// It could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct ObservedError {
    path: PathBuf,
    source: std::io::Error,
}

impl Observed {
    /// Writes it into a scenario's directory.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), ObservedError> {
        let path = dir.join(FILE_NAME);
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(&path, text))
            .map_err(|source| ObservedError { path, source })
    }

    /// Reads it from a scenario's directory.
    pub(crate) fn load(dir: &Path) -> Result<Observed, ObservedError> {
        let path = dir.join(FILE_NAME);
        let text = std::fs::read(&path);
        text.and_then(|text| serde_json::from_slice(&text).map_err(std::io::Error::from))
            .map_err(|source| ObservedError { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let observed = Observed {
            marks: BTreeMap::from([("phase".to_owned(), BTreeSet::from(["complete".to_owned()]))]),
            endangered: Some(3),
            not_recovered: Some("still down".to_owned()),
            ..Observed::default()
        };
        observed.save(dir.path()).unwrap();
        assert_eq!(Observed::load(dir.path()).unwrap(), observed);
        std::fs::write(dir.path().join(FILE_NAME), "{").unwrap();
        let error = Observed::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("observed.json"), "{error}");
    }
}
