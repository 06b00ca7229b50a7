//! How often a scenario caught a bug, kept in a file that grows run by run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use shakedown_reports::results::{SuiteResults, Verdict};

/// What a scenario said over some repetitions, with one bug or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Repetitions.
    pub runs: u32,
    /// Ended as `invalid`.
    pub invalid: u32,
    /// Ended as `unknown`, or in a failure of the harness without being invalid.
    pub unknown: u32,
    /// Ended as `valid`.
    pub valid: u32,
    /// Checks that were `invalid`, and in how many repetitions.
    pub failed_checks: BTreeMap<String, u32>,
    /// Wall time of all repetitions, milliseconds.
    pub duration_ms: u64,
    /// The command line that repeats them.
    pub command: String,
    /// When the first one began, RFC 3339.
    pub started_at: String,
    /// Version of Shakedown that ran them.
    pub shakedown_version: String,
}

impl Tally {
    /// Counts the repetitions of one run of one scenario.
    pub fn of(results: &SuiteResults) -> Self {
        let mut tally = Tally {
            duration_ms: results.duration_ms,
            command: results.command.clone(),
            started_at: results.started_at.clone(),
            shakedown_version: results.shakedown_version.clone(),
            ..Tally::default()
        };
        for scenario in &results.scenarios {
            tally.runs += 1;
            match scenario.verdict {
                Verdict::Invalid => tally.invalid += 1,
                Verdict::Valid if scenario.harness_error.is_none() => tally.valid += 1,
                Verdict::Valid | Verdict::Unknown => tally.unknown += 1,
            }
            let failed = scenario
                .checks
                .iter()
                .filter(|c| c.verdict == Verdict::Invalid);
            for check in failed {
                *tally.failed_checks.entry(check.name.clone()).or_default() += 1;
            }
        }
        tally
    }
}

/// Why a track record can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// The file.
    #[error("cannot use {path}: {error}")]
    File {
        /// Its path.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// Its content.
    #[error("{path} is not a track record: {error}; remove it to begin anew")]
    Malformed {
        /// Its path.
        path: String,
        /// Why not.
        error: serde_json::Error,
    },
}

/// All tallies so far: by bug, then by scenario. The bug without a name is the system as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackRecord {
    /// The tallies.
    pub tallies: BTreeMap<String, BTreeMap<String, Tally>>,
}

impl TrackRecord {
    /// Reads the file; an empty record if there is none yet.
    ///
    /// # Errors
    /// [`TallyError`]
    pub fn load(path: &Path) -> Result<Self, TallyError> {
        let name = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| TallyError::Malformed { path: name, error }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(TallyError::File { path: name, error }),
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`TallyError::File`]
    pub fn save(&self, path: &Path) -> Result<(), TallyError> {
        let failed = |error| TallyError::File {
            path: path.display().to_string(),
            error,
        };
        let mut text = serde_json::to_string_pretty(self).expect("a track record is plain data");
        text.push('\n');
        let temporary = path.with_extension("part");
        fs::write(&temporary, text).map_err(failed)?;
        fs::rename(&temporary, path).map_err(failed)
    }

    /// What is known of a bug and a scenario.
    pub fn tally(&self, bug: &str, scenario: &str) -> Option<&Tally> {
        self.tallies.get(bug)?.get(scenario)
    }

    /// Replaces what is known of a bug and a scenario.
    pub fn set(&mut self, bug: &str, scenario: &str, tally: Tally) {
        self.tallies
            .entry(bug.to_owned())
            .or_default()
            .insert(scenario.to_owned(), tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("track_record.json");
        assert_eq!(TrackRecord::load(&path).unwrap(), TrackRecord::default());
        let mut record = TrackRecord::default();
        record.set(
            "bug",
            "scenario",
            Tally {
                runs: 10,
                invalid: 9,
                ..Tally::default()
            },
        );
        record.save(&path).unwrap();
        assert_eq!(TrackRecord::load(&path).unwrap(), record);
        assert_eq!(record.tally("bug", "scenario").unwrap().invalid, 9);
        assert!(record.tally("", "scenario").is_none());
    }

    #[test]
    fn something_else_is_not_taken_for_a_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("track_record.json");
        fs::write(&path, "[]").unwrap();
        let error = TrackRecord::load(&path).unwrap_err().to_string();
        assert!(error.contains("remove it to begin anew"), "{error}");
    }
}
