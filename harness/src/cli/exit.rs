//! Exit codes: one per class of outcome, so that a pipeline can gate on them.

use std::process::ExitCode;

use shakedown_reports::results::Verdict;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything promised was exercised, and held.
    Valid,
    /// Something promised does not hold. Never masked by another outcome of the same run.
    Invalid,
    /// It cannot be told.
    Unknown,
    /// The harness itself failed.
    HarnessError,
    /// Bad arguments, scenario or node list; nothing was touched.
    Usage,
}

/// For `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
   0  valid: everything promised was exercised, and held
   1  invalid: something promised does not hold (never masked by another outcome of the same run)
   2  unknown: it cannot be told (a fault did not happen, a phase was not reached, a read is incomplete)
   3  harness error: the harness itself failed
  64  bad arguments, scenario or node list; nothing was touched";

impl Exit {
    /// The exit of a run: `invalid` first, then a failure of the harness, then the verdict.
    pub(super) fn of_run(verdict: Verdict, harness_failed: bool) -> Self {
        match (verdict, harness_failed) {
            (Verdict::Invalid, _) => Exit::Invalid,
            (_, true) => Exit::HarnessError,
            (Verdict::Unknown, false) => Exit::Unknown,
            (Verdict::Valid, false) => Exit::Valid,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Valid => 0,
            Exit::Invalid => 1,
            Exit::Unknown => 2,
            Exit::HarnessError => 3,
            Exit::Usage => 64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_is_masked_by_nothing() {
        assert_eq!(Exit::of_run(Verdict::Invalid, true), Exit::Invalid);
        assert_eq!(Exit::of_run(Verdict::Invalid, false), Exit::Invalid);
    }

    #[test]
    fn a_harness_failure_is_not_passed_off_as_valid_or_unknown() {
        assert_eq!(Exit::of_run(Verdict::Valid, true), Exit::HarnessError);
        assert_eq!(Exit::of_run(Verdict::Unknown, true), Exit::HarnessError);
    }
}
