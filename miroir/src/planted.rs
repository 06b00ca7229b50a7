//! The planted bugs: which one this process carries. Only compiled with the feature `planted-bugs`; the environment
//! variable `MIROIR_BUG` chooses one of them, and none is active without it.

use std::sync::OnceLock;

use serde_json::json;

use crate::log;

/// A fault in the store itself, for negative controls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The delta pass believes the router's memory of failed writes instead of comparing the nodes.
    DeltaFromMemory,
    /// The drain does not wait for writes under way, and does not fence late ones.
    NoDrain,
    /// A node acknowledges a write before it is durable.
    AckBeforeDurable,
    /// A copied page overwrites whatever the new owner holds.
    CopyOverwritesNewer,
    /// Deletes during the migration go to the old owner only, and leave no tombstone there for the delta pass to see.
    DeleteNotToNew,
    /// Anti-entropy and delta pass overlook tombstones.
    RepairIgnoresTombstones,
    /// Stamps come from the wall clock alone.
    WallClock,
    /// The old owners' copies are removed before the routing has switched.
    CleanupBeforeActivate,
    /// The routing switches before the delta pass, which then asks the routing for its source, and finds the new owner.
    RouteBeforeDelta,
    /// The background copy leaves out documents written after it began, and trusts the dual write with them.
    CopySkipsInserts,
    /// The drain waits for the oldest write under way only, and does not fence late ones.
    DrainCountsFirst,
    /// A restarted router takes an unfinished migration for one that was about to activate.
    RecoveryWrongPhase,
    /// Repairs show up in the change feed.
    RepairEmitsChanges,
    /// One acknowledgement too few makes a quorum.
    QuorumOffByOne,
    /// A page that the new owner did not take is not repeated.
    PageLostOnRetry,
}

/// All bugs, by the names that `MIROIR_BUG` takes.
const ALL: [(&str, Bug); 15] = [
    ("delta_from_memory", Bug::DeltaFromMemory),
    ("no_drain", Bug::NoDrain),
    ("ack_before_durable", Bug::AckBeforeDurable),
    ("copy_overwrites_newer", Bug::CopyOverwritesNewer),
    ("delete_not_to_new", Bug::DeleteNotToNew),
    ("repair_ignores_tombstones", Bug::RepairIgnoresTombstones),
    ("wall_clock", Bug::WallClock),
    ("cleanup_before_activate", Bug::CleanupBeforeActivate),
    ("route_before_delta", Bug::RouteBeforeDelta),
    ("copy_skips_inserts", Bug::CopySkipsInserts),
    ("drain_counts_first", Bug::DrainCountsFirst),
    ("recovery_wrong_phase", Bug::RecoveryWrongPhase),
    ("repair_emits_changes", Bug::RepairEmitsChanges),
    ("quorum_off_by_one", Bug::QuorumOffByOne),
    ("page_lost_on_retry", Bug::PageLostOnRetry),
];

static ACTIVE: OnceLock<Option<Bug>> = OnceLock::new();

/// Whether this process carries that bug. A name that does not exist ends the process: a negative control with a
/// misspelt bug would pass for the wrong reason.
pub(crate) fn planted(bug: Bug) -> bool {
    *ACTIVE.get_or_init(chosen) == Some(bug)
}

/// Says loudly which bug is in; in the log, too, if the process keeps one on stdout.
pub(crate) fn announce(keeps_log: bool) {
    if let Some(bug) = ACTIVE.get_or_init(chosen) {
        let name = ALL.iter().find(|(_, b)| b == bug).map(|(name, _)| *name);
        if keeps_log {
            log::event("planted_bug", &[("bug", json!(name))]);
        }
        eprintln!("PLANTED BUG {bug:?} IS ACTIVE: this process damages data on purpose");
    }
}

fn chosen() -> Option<Bug> {
    let name = std::env::var("MIROIR_BUG").ok().filter(|n| !n.is_empty())?;
    match named(&name) {
        Some(bug) => Some(bug),
        None => {
            let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
            eprintln!(
                "MIROIR_BUG={name}: there is no such bug; there are: {}",
                names.join(", ")
            );
            std::process::exit(2)
        }
    }
}

fn named(name: &str) -> Option<Bug> {
    ALL.iter().find(|(n, _)| *n == name).map(|(_, bug)| *bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own() {
        for (name, bug) in ALL {
            assert_eq!(named(name), Some(bug));
        }
        assert_eq!(named("no_such_bug"), None);
    }
}
