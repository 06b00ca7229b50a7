//! Evidence on processes, worded the same for every fault.

use super::process::ProcessId;
use crate::outcome::Evidence;

/// One observation.
pub(crate) fn evidence(what: impl Into<String>, seen: impl Into<String>) -> Evidence {
    Evidence {
        what: what.into(),
        seen: seen.into(),
    }
}

/// The kernel's state of each process, now.
pub(crate) fn states(processes: &[ProcessId], when: &str) -> Vec<Evidence> {
    processes
        .iter()
        .map(|process| {
            evidence(
                format!("state of pid {} {when}", process.pid),
                process.state_text(),
            )
        })
        .collect()
}
