//! Judges a history on disk.

use std::path::Path;

use crate::error::CheckError;
use crate::history::{HistoryReader, ObservationReader};
use crate::loss::{LossChecker, LossReport};

/// Metadata key of an observation file: nanoseconds since the start of the run until which the
/// history counts. Set it for a final read taken while the run went on.
pub const UNTIL_KEY: &str = "until_ns";

/// Judges the history in `history` by the final read in the file `observations`, and lists at most
/// `keep_anomalies` anomalies (all are counted). For cost, see [`loss`](crate::loss).
///
/// A history whose writer was killed is judged as far as it goes; the report then lists `history`
/// among the incomplete sources. Fails only if a file is missing, damaged or senseless.
pub fn check_dir(
    history: &Path,
    observations: &Path,
    keep_anomalies: usize,
) -> Result<LossReport, CheckError> {
    let mut observations = ObservationReader::open(observations)?;
    let until_ns = match observations.metadata().remove(UNTIL_KEY) {
        Some(found) => match found.parse() {
            Ok(ns) => Some(ns),
            Err(_) => {
                return Err(CheckError::BadUntil {
                    key: UNTIL_KEY,
                    found,
                });
            }
        },
        None => None,
    };

    let mut history = HistoryReader::open(history)?;
    let mut checker = LossChecker::new(until_ns);
    while let Some(batch) = history.next_batch()? {
        checker.batch(&batch)?;
    }
    let mut judge = checker.into_judge(observations.sources(), keep_anomalies);
    if history.truncated() {
        judge.incomplete("history", "its writer did not finish it");
    }
    if observations.sources().is_empty() {
        judge.incomplete("final read", "it names no source");
    }
    while let Some(batch) = observations.next_batch()? {
        judge.batch(&batch)?;
    }
    Ok(judge.finish())
}
